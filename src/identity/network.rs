//! Client addresses: a network, one address, or the server's own host.

use std::fmt;
use std::net::IpAddr;

/// One of a rule's `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// A Unix socket, or what the engine calls `localhost`.
    Local,
    /// All addresses whose first `bits` are these.
    Ip {
        /// The first of them.
        base: IpAddr,
        /// How many bits count.
        bits: u8,
    },
}

/// Where a client is, as a row has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// On the server's host.
    Local,
    /// Elsewhere.
    Ip(IpAddr),
}

impl Address {
    /// `None` for a name: who answers to it is not for a log to say.
    pub fn read(text: &[u8]) -> Option<Self> {
        if matches!(text, b"[local]" | b"localhost") {
            return Some(Address::Local);
        }
        let text = std::str::from_utf8(text).ok()?;
        // A link-local address has its interface behind it.
        let text = text.split('%').next().unwrap_or(text);
        text.parse::<IpAddr>().ok().map(|address| Address::Ip(address.to_canonical()))
    }
}

impl Network {
    /// `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32`, `local`. The error is what is wrong, and what to do.
    pub fn read(text: &str) -> Result<Self, (String, String)> {
        if text == "local" {
            return Ok(Network::Local);
        }
        let hint = || "such as \"10.20.0.0/16\", \"10.20.1.7\", \"2001:db8::/32\" or \"local\"".to_owned();
        let wrong = || (format!("{text:?} is no network"), hint());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let base = address.parse::<IpAddr>().map_err(|_| wrong())?;
        let all = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all {
            return Err(wrong());
        }
        let first = masked(base, bits);
        if first != base {
            return Err((format!("{text:?} has bits behind its mask"), format!("write \"{first}/{bits}\"")));
        }
        // As addresses of rows are: IPv4, however it was written.
        Ok(match base.to_canonical() {
            base @ IpAddr::V4(_) if all == 128 && bits >= 96 => Network::Ip { base, bits: bits - 96 },
            _ => Network::Ip { base, bits },
        })
    }

    /// Whether the address is in it.
    pub fn holds(self, address: Address) -> bool {
        match (self, address) {
            (Network::Local, Address::Local) => true,
            (Network::Ip { base, bits }, Address::Ip(ip)) => base.is_ipv4() == ip.is_ipv4() && masked(ip, bits) == base,
            _ => false,
        }
    }

    /// Whether an address may be in both: then one holds the other.
    pub fn meets(self, other: Network) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether all addresses of the other are in it.
    pub fn covers(self, other: Network) -> bool {
        match (self, other) {
            (Network::Local, Network::Local) => true,
            (Network::Ip { bits, .. }, Network::Ip { base, bits: others }) => {
                bits <= others && self.holds(Address::Ip(base))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Local => f.write_str("local"),
            Network::Ip { base, bits } => write!(f, "{base}/{bits}"),
        }
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::read(text).unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_other() {
        for (text, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("fe80::/10", "fe80::1%eth0", true),
            ("local", "[local]", true),
            ("local", "127.0.0.1", false),
        ] {
            let address = Address::read(address.as_bytes()).unwrap();
            assert_eq!(network(text).holds(address), holds, "{text} {address:?}");
        }
        assert_eq!(Address::read(b"db1.example"), None);
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["10.0.0.0/33", "10.0.0", "10.0.0.0/x", "example.com", "", "10.0.0.1/8", "::/129", "10.0.0.0/-1"] {
            assert!(Network::read(text).is_err(), "{text}");
        }
        assert_eq!(Network::read("10.1.0.1/16").unwrap_err().1, "write \"10.1.0.0/16\"");
    }

    #[test]
    fn networks_meet_where_one_covers_the_other() {
        for (one, two, meet, covers) in [
            ("10.0.0.0/8", "10.1.0.0/16", true, true),
            ("10.1.0.0/16", "10.0.0.0/8", true, false),
            ("10.0.0.0/9", "10.128.0.0/9", false, false),
            ("local", "local", true, true),
            ("local", "::1", false, false),
        ] {
            assert_eq!(network(one).meets(network(two)), meet, "{one} {two}");
            assert_eq!(network(one).covers(network(two)), covers, "{one} {two}");
        }
    }
}
