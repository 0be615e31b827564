//! Texts written by a seed: words of many scripts, code, and what tokenizers stumble over.

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
pub(super) struct Seed(pub(super) u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Sixteen scripts, each with the code points that its words are made of: letters, and marks where it has them.
const SCRIPTS: [&[(u32, u32)]; 16] = [
    &[(0x41, 0x5a), (0x61, 0x7a), (0xc0, 0x17f), (0x300, 0x308)],
    &[(0x410, 0x44f), (0x483, 0x487)],
    &[(0x391, 0x3a1), (0x3a3, 0x3c9)],
    &[(0x531, 0x556), (0x561, 0x586)],
    &[(0x5d0, 0x5ea), (0x5b0, 0x5bb)],
    &[(0x621, 0x63a), (0x641, 0x652), (0x660, 0x669)],
    &[(0x905, 0x939), (0x93e, 0x94d), (0x966, 0x96f)],
    &[(0x985, 0x9b9), (0x9be, 0x9cd)],
    &[(0xb85, 0xbb9), (0xbbe, 0xbcd)],
    &[(0xe01, 0xe3a), (0xe40, 0xe4e)],
    &[(0x10d0, 0x10fa)],
    &[(0x1200, 0x1248)],
    &[(0x3041, 0x3096), (0x4e00, 0x4fff)],
    &[(0x30a1, 0x30fa), (0x30fc, 0x30fe)],
    &[(0x4e00, 0x9fff)],
    &[(0xac00, 0xd7a3)],
];

const CONTRACTIONS: [&str; 12] =
    ["'s", "'S", "'t", "'re", "'VE", "'ll", "'Ll", "'d", "'m", "'\u{17f}", "'", "'x"];
const WHITE: [&str; 13] = [
    " ", "  ", "\t", "\n", "\r\n", "\r", "\n\n", " \n ", "\u{a0}", "\u{3000}", "\u{2028}", "\u{b}",
    "        ",
];
const SIGNS: [&str; 22] = [
    ".",
    ",",
    "!",
    "/",
    "//",
    "/\n",
    "-",
    "--",
    "=",
    "(",
    "){",
    "<|endoftext|>",
    "\"",
    "```",
    "…",
    "。",
    "¿",
    "€",
    "\u{200d}",
    "\0",
    "\u{fe0f}",
    "\u{e000}",
];
const EMOJI: [&str; 8] = ["🌍", "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇩🇪", "❤️", "1️⃣", "🫠"];
const NUMBERS: [&str; 9] = ["7", "42", "123", "1234", "3.14159", "٣٤٥", "½", "Ⅷ", "²"];
const CODE: [&str; 6] = [
    "fn main() {\n    println!(\"{:?}\", vec![1, 2, 3]);\n}\n",
    "def f(x):\n\treturn x ** 2  # squared\n\n",
    "SELECT * FROM t WHERE id='7' AND x<>3;",
    "{\"id\": 17, \"name\": \"AbC_dEf\", \"v\": [1.5e-7, null]},\n",
    "https://example.com/a/b?c=d&e=%20#f",
    "<p class=\"a\">XMLHttpRequest</p>\r\n",
];

fn word(seed: &mut Seed, script: &[(u32, u32)]) -> String {
    let letters = 1 + seed.below(9);
    let letter = |_| {
        let (from, to) = seed.of(script);
        char::from_u32(from + seed.below((to - from + 1) as usize) as u32).unwrap()
    };
    (0..letters).map(letter).collect()
}

/// A run of one thing, long enough that it is merged in several blocks.
fn run(seed: &mut Seed) -> String {
    let length = 1 + seed.below(250);
    let one = match seed.below(4) {
        0 => seed.of(&["a", "A", "=", "-", "ab", "aA", "\u{301}", "'s", "0", "中", "ー", "//\n"]).to_owned(),
        1 => seed.of(&WHITE).to_owned(),
        2 => seed.of(&EMOJI).to_owned(),
        _ => return (0..length).map(|_| char::from(b'a' + seed.below(26) as u8)).collect(),
    };
    one.repeat(length)
}

/// The text of a seed: mostly one script with what stands between its words, sometimes anything.
pub(super) fn text(seed: u64) -> String {
    let seed = &mut Seed(seed);
    let script = seed.of(&SCRIPTS);
    let parts = seed.below(24);
    let mut text = String::new();
    for _ in 0..parts {
        match seed.below(24) {
            0..=9 => text.push_str(&word(seed, script)),
            10 => {
                let other = seed.of(&SCRIPTS);
                text.push_str(&word(seed, other));
            }
            11..=15 => text.push(' '),
            16 => text.push_str(seed.of(&WHITE)),
            17 => text.push_str(seed.of(&CONTRACTIONS)),
            18 | 19 => text.push_str(seed.of(&SIGNS)),
            20 => text.push_str(seed.of(&NUMBERS)),
            21 => text.push_str(seed.of(&EMOJI)),
            22 => text.push_str(seed.of(&CODE)),
            _ if seed.below(3) == 0 => text.push_str(&run(seed)),
            _ => text.push(char::from_u32(seed.below(0x2_0000) as u32).unwrap_or('?')),
        }
    }
    text
}
