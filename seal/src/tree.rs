//! The Merkle tree over the lines of a trail, as in RFC 6962 section 2.1.
//!
//! Owns the two hash rules and [`Tree`], the little of a tree that must be kept to add leaves and to name its root:
//! its size and its right edge. Hard here: an edge read from a file is a claim, so [`Tree::from_edge`] checks its shape;
//! whether it belongs to the root that was signed is for the caller to compare.

use sha2::{Digest, Sha256};

/// A SHA-256 value: a leaf, a node or a root.
pub type Hash = [u8; 32];

/// The largest tree that is accepted, in leaves: 2^62. At a million lines a second it lasts 146,000 years.
pub const SIZE_MAX: u64 = 1 << 62;

/// The leaf of one line: SHA-256(0x00 ‖ SHA-256(line)). `line` is the stored bytes without the newline.
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut leaf = padded::<1>(33);
    leaf[0][1..33].copy_from_slice(&Sha256::digest(line));
    hash_of_padded(&leaf)
}

/// An inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut node = padded::<2>(65);
    let bytes = node.as_flattened_mut();
    bytes[0] = 1;
    bytes[1..33].copy_from_slice(left);
    bytes[33..65].copy_from_slice(right);
    hash_of_padded(&node)
}

/// Blocks for a message of `bytes` bytes, with the padding of FIPS 180-4 (5.1.1) in place. Every line makes one leaf and one node: a padding that is known
/// beforehand spares a sixth of what a node costs.
const fn padded<const BLOCKS: usize>(bytes: usize) -> [[u8; 64]; BLOCKS] {
    assert!(bytes / 64 == BLOCKS - 1 && bytes % 64 < 56, "the length follows in the same block");
    let mut blocks = [[0; 64]; BLOCKS];
    blocks[BLOCKS - 1][bytes % 64] = 0x80;
    let bits = (bytes as u16 * 8).to_be_bytes();
    blocks[BLOCKS - 1][62] = bits[0];
    blocks[BLOCKS - 1][63] = bits[1];
    blocks
}

fn hash_of_padded<const BLOCKS: usize>(blocks: &[[u8; 64]; BLOCKS]) -> Hash {
    let mut state = SHA256_START;
    sha2::block_api::compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

/// FIPS 180-4, 5.3.3.
const SHA256_START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest(b"").into()
}

/// A tree to which leaves can be added: its size and the roots of the perfect subtrees that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Largest subtree first; one for each bit that is set in `size`.
    edge: Vec<Hash>,
}

/// Why an edge cannot be that of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// A tree of `size` leaves has `expected` perfect subtrees.
    #[error("edge of {found} hashes for a tree of {size} lines, which has {expected}")]
    Length {
        /// Leaves.
        size: u64,
        /// Bits set in `size`.
        expected: usize,
        /// Hashes given.
        found: usize,
    },
    /// Beyond [`SIZE_MAX`].
    #[error("tree of {0} lines is larger than any trail")]
    TooLarge(u64),
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self { size: 0, edge: Vec::with_capacity(64) }
    }

    /// The tree of `size` leaves with this right edge, largest subtree first.
    pub fn from_edge(size: u64, edge: Vec<Hash>) -> Result<Self, EdgeError> {
        let expected = size.count_ones() as usize;
        if size > SIZE_MAX {
            return Err(EdgeError::TooLarge(size));
        }
        if edge.len() != expected {
            return Err(EdgeError::Length { size, expected, found: edge.len() });
        }
        Ok(Self { size, edge })
    }

    /// Adds a leaf. Two node hashes on average with the leaf's own, no allocation.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.edge.push(node);
        self.size += 1;
    }

    /// The root over all leaves so far: RFC 6962's Merkle Tree Hash.
    pub fn root(&self) -> Hash {
        self.edge.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// RFC 6962's recursive definition, slow and plain.
    fn merkle_tree_hash(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&merkle_tree_hash(&leaves[..k]), &merkle_tree_hash(&leaves[k..]))
            }
        }
    }

    /// The leaves and roots that Certificate Transparency implementations test against (leaf data, not its hash).
    #[test]
    fn roots_are_those_of_the_known_rfc_6962_vectors() {
        let data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        for (data, root) in data.iter().zip(roots) {
            let mut leaf = vec![0u8];
            leaf.extend((0..data.len() / 2).map(|i| u8::from_str_radix(&data[2 * i..2 * i + 2], 16).unwrap()));
            tree.push(Sha256::digest(&leaf).into());
            assert_eq!(hex(&tree.root()), root);
        }
    }

    #[test]
    fn empty_tree_has_the_hash_of_nothing() {
        assert_eq!(hex(&Tree::new().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn leaf_is_the_hash_of_a_zero_byte_and_the_hash_of_the_line() {
        let mut bytes = vec![0u8];
        bytes.extend(Sha256::digest(b"line"));
        assert_eq!(leaf_hash(b"line"), <Hash>::from(Sha256::digest(&bytes)));
    }

    #[test]
    fn edge_of_the_wrong_length_or_size_is_refused() {
        assert!(matches!(Tree::from_edge(3, vec![[0; 32]]), Err(EdgeError::Length { expected: 2, found: 1, .. })));
        assert_eq!(Tree::from_edge(u64::MAX, vec![[0; 32]; 64]), Err(EdgeError::TooLarge(u64::MAX)));
    }

    proptest! {
        #[test]
        fn leaves_and_nodes_are_what_the_library_makes_of_their_bytes(line: Vec<u8>, left: Hash, right: Hash) {
            let leaf = [&[0][..], &Sha256::digest(&line)].concat();
            prop_assert_eq!(leaf_hash(&line), <Hash>::from(Sha256::digest(leaf)));
            let node = [&[1][..], &left, &right].concat();
            prop_assert_eq!(node_hash(&left, &right), <Hash>::from(Sha256::digest(node)));
        }

        #[test]
        fn resumed_tree_equals_the_straight_run(lines in proptest::collection::vec(any::<u64>(), 0..200), cut in 0usize..200) {
            let leaves: Vec<Hash> = lines.iter().map(|l| leaf_hash(&l.to_le_bytes())).collect();
            let mut straight = Tree::new();
            let mut resumed = Tree::new();
            for (i, leaf) in leaves.iter().enumerate() {
                if i == cut {
                    resumed = Tree::from_edge(resumed.size(), resumed.edge().to_vec()).unwrap();
                }
                straight.push(*leaf);
                resumed.push(*leaf);
                prop_assert_eq!(straight.root(), merkle_tree_hash(&leaves[..=i]));
            }
            prop_assert_eq!(straight, resumed);
        }
    }
}
