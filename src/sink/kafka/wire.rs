//! Kafka's bytes: whole numbers, texts and lists, as they stand in requests and answers before "flexible" versions, and what those add to
//! the one kind of request that is spoken so.
//!
//! What comes from the network is read without trusting a single length in it: a list grows as its items are read, and a text is a part of what
//! is there. So a frame costs no more than a small multiple of its own bytes, whatever it says.

/// An answer that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Garbled;

/// Reads an answer, from its first byte on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(super) fn i8(&mut self) -> Result<i8, Garbled> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Garbled> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Garbled> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Garbled> {
        self.array().map(i64::from_be_bytes)
    }

    /// A text; one that is null is empty.
    pub(super) fn text(&mut self) -> Result<&'a str, Garbled> {
        let length = self.i16()?;
        let bytes = self.take(usize::try_from(length.max(0)).map_err(|_| Garbled)?)?;
        std::str::from_utf8(bytes).map_err(|_| Garbled)
    }

    /// Bytes; none of them where they are null.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Garbled> {
        let length = self.i32()?;
        self.take(usize::try_from(length.max(0)).map_err(|_| Garbled)?)
    }

    /// A list, of items that have a byte at least; one that is null is empty.
    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Garbled>) -> Result<Vec<T>, Garbled> {
        let mut items = Vec::new();
        for _ in 0..self.i32()?.max(0) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Past tagged fields, of which none is known here.
    pub(super) fn tags(&mut self) -> Result<(), Garbled> {
        for _ in 0..self.uvarint()? {
            let _tag = self.uvarint()?;
            let length = self.uvarint()?;
            self.take(usize::try_from(length).map_err(|_| Garbled)?)?;
        }
        Ok(())
    }

    fn uvarint(&mut self) -> Result<u32, Garbled> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Garbled)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Garbled)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Garbled)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// Writes a request.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i8(&mut self, value: i8) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i16(&mut self, value: i16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(super) fn i64(&mut self, value: i64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// What the configuration holds is far shorter than a text may be.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX)).raw(text.as_bytes())
    }

    /// What is sent is far shorter than two gigabytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX)).raw(bytes)
    }

    /// An end without tagged fields.
    pub(super) fn no_tags(&mut self) -> &mut Self {
        self.i8(0)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A number of variable length, zigzag, as records have them.
    pub(super) fn varint(&mut self, value: i64) -> &mut Self {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest as u8 & 0x7f) | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_says_it_has_two_billion_items_costs_only_what_is_there() {
        let mut bytes = i32::MAX.to_be_bytes().to_vec();
        bytes.extend([0; 12]);
        assert_eq!(Reader::new(&bytes).list(Reader::i64), Err(Garbled));
        assert_eq!(Reader::new(&(-1_i32).to_be_bytes()).list(Reader::i64), Ok(Vec::new()));
    }

    #[test]
    fn texts_and_bytes_are_a_part_of_what_is_there_or_nothing() {
        assert_eq!(Reader::new(b"\x00\x02ab").text(), Ok("ab"));
        assert_eq!(Reader::new(b"\xff\xff").text(), Ok(""));
        assert_eq!(Reader::new(b"\x00\x03ab").text(), Err(Garbled));
        assert_eq!(Reader::new(b"\x00\x01\xff").text(), Err(Garbled));
        assert_eq!(Reader::new(b"\x7f\xff\xff\xffab").bytes(), Err(Garbled));
        assert_eq!(Reader::new(b"\xff\xff\xff\xff").bytes(), Ok(&b""[..]));
    }

    #[test]
    fn tagged_fields_are_passed_over() {
        let mut reader = Reader::new(b"\x02\x00\x01a\x81\x01\x02bc\x07");
        assert_eq!((reader.tags(), reader.i8()), (Ok(()), Ok(7)));
        assert_eq!(Reader::new(b"\xff\xff\xff\xff\xff").tags(), Err(Garbled));
        assert_eq!(Reader::new(b"\xff\xff\xff\xff\x0f\x00\x00").tags(), Err(Garbled));
    }

    /// Of the encoding's own description: 0, -1, 1, -2, then the ends of 32 bits.
    #[test]
    fn a_varint_is_zigzag() {
        let written = |value| std::mem::take(&mut Writer::default().varint(value).0);
        assert_eq!([0, -1, 1, -2].map(written), [[0], [1], [2], [3]]);
        assert_eq!(written(64), [0x80, 0x01]);
        assert_eq!(written(i64::from(i32::MAX)), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(written(i64::from(i32::MIN)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
    }
}
