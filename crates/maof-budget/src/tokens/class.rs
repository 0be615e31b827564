//! The classes of characters by which texts are split before they are counted.

/// A class of characters, by Unicode's general categories and `White_Space`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Signs, and all that has no other class.
    Sign,
    /// Lu and Lt.
    Upper,
    /// Ll.
    Lower,
    /// Lm and Lo: letters without a case, Chinese for example.
    Caseless,
    /// M.
    Mark,
    /// N.
    Number,
    /// White space, but for the next.
    Space,
    /// `\r` and `\n`.
    Newline,
}

impl Class {
    const fn new(number: u8) -> Class {
        match number {
            1 => Class::Upper,
            2 => Class::Lower,
            3 => Class::Caseless,
            4 => Class::Mark,
            5 => Class::Number,
            6 => Class::Space,
            7 => Class::Newline,
            _ => Class::Sign,
        }
    }

    pub(crate) fn is_letter(self) -> bool {
        matches!(self, Class::Upper | Class::Lower | Class::Caseless)
    }

    pub(crate) fn is_white(self) -> bool {
        matches!(self, Class::Space | Class::Newline)
    }
}

/// Written by build.rs: which block each 256 characters have, then the blocks.
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes"));
const BLOCKS: usize = 0x1100;

const ASCII: [Class; 128] = {
    let mut ascii = [Class::Sign; 128];
    let mut i = 0;
    while i < 128 {
        ascii[i] = Class::new(TABLE[BLOCKS + i]);
        i += 1;
    }
    ascii
};

pub(crate) fn class(c: char) -> Class {
    let c = c as usize;
    let block = TABLE.get(c >> 8).map_or(0, |block| usize::from(*block));
    Class::new(TABLE.get(BLOCKS + (block << 8) + (c & 255)).copied().unwrap_or(0))
}

/// The class of the character that begins at a place, and its length in bytes; none at the text's end.
#[inline]
pub(crate) fn at(text: &str, place: usize) -> Option<(Class, usize)> {
    let first = *text.as_bytes().get(place)?;
    if let Some(class) = ASCII.get(usize::from(first)) {
        return Some((*class, 1));
    }
    let c = text.get(place..)?.chars().next()?;
    Some((class(c), c.len_utf8()))
}
