//! FNV-1a in 64 bits: the hash of words, and the check sum of a model's file.
//!
//! G. Fowler, L. Noll, K.-P. Vo, D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm", RFC 9923.

/// The algorithm's two constants.
pub(crate) struct Fnv {
    /// Where a hash begins.
    pub(crate) start: u64,
    prime: u64,
}

/// FNV-1a in 64 bits.
pub(crate) const FNV: Fnv = Fnv { start: 0xcbf2_9ce4_8422_2325, prime: 0x0100_0000_01b3 };

impl Fnv {
    /// The hash with one more byte.
    pub(crate) const fn step(&self, hash: u64, byte: u8) -> u64 {
        (hash ^ byte as u64).wrapping_mul(self.prime)
    }
}

/// The hash of these bytes.
pub(crate) const fn hashed(bytes: &[u8]) -> u64 {
    let mut hash = FNV.start;
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        hash = FNV.step(hash, *byte);
        rest = after;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_rfc() {
        assert_eq!(hashed(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hashed(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hashed(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
