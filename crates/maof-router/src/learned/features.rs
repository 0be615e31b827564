//! What is seen of a prompt: hashed words and pairs of words, its first words, the form in which it begins and ends, and
//! thirteen plain numbers. The first words and the form tell the kind of task: who asks in lower case without a
//! question mark asks for other things than who ends in an equation.
//!
//! Hashing: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009. Weights of
//! terms: sublinear tf times smoothed idf, scaled to length one (C. Manning et al., "Introduction to Information
//! Retrieval", 6.4).

use maof_core::{Error, Result};

use super::hash::{FNV, hashed};

/// How many buckets words and pairs are hashed into.
pub(super) const BUCKETS: usize = 1 << 18;
/// How many plain numbers there are.
pub(super) const SCALARS: usize = 13;
/// How many buckets tell the form: how a prompt begins, how it ends, and both.
pub(super) const FORMS: usize = 3;
/// What one of the forms counts, where a whole prompt's words have length one: all together half of that.
pub(super) const FORM_VALUE: f32 = 0.5 / 1.732;
/// How much of a prompt is read, in bytes. The rest changes nothing, so that ten megabytes cost no more than this.
pub(super) const READ_BYTES: usize = 32 * 1024;

/// How many of the first words are seen together: the first, the first two, up to these.
const OPENING: u32 = 4;
/// What is added to the bucket of anything that is no word alone: so that words come first.
const OTHER: u32 = BUCKETS as u32;
/// An odd number with about as many ones as zeros: 2^64 by the golden ratio.
const SCRAMBLE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Plain numbers beyond this many standard deviations are taken as this many.
const CLAMP: f32 = 4.0;
/// What one standard deviation of a plain number counts, where a whole prompt's words have length one.
const SCALAR_SHARE: f32 = 0.5;

/// Words that tell of quantities; sums of school mathematics live on them.
const QUANTITY_WORDS: [u64; 24] = [
    hashed(b"total"),
    hashed(b"each"),
    hashed(b"every"),
    hashed(b"half"),
    hashed(b"twice"),
    hashed(b"double"),
    hashed(b"triple"),
    hashed(b"third"),
    hashed(b"quarter"),
    hashed(b"percent"),
    hashed(b"times"),
    hashed(b"more"),
    hashed(b"less"),
    hashed(b"many"),
    hashed(b"much"),
    hashed(b"all"),
    hashed(b"per"),
    hashed(b"dozen"),
    hashed(b"remaining"),
    hashed(b"left"),
    hashed(b"average"),
    hashed(b"sum"),
    hashed(b"difference"),
    hashed(b"fewer"),
];

/// The features of one prompt. Kept and used again, it allocates nothing once it has seen a prompt as long.
#[derive(Clone, Debug, Default)]
pub(super) struct Features {
    /// Bucket and kind ([`OTHER`]) of all that is hashed, repeats included.
    keys: Vec<u32>,
    /// Words so far, and the hash of the first ones.
    opening: (u32, u64),
    /// The words, then all else; by bucket.
    pub(super) grams: Vec<(u32, f32)>,
    words: usize,
    pub(super) form: [u32; FORMS],
    pub(super) scalars: [f32; SCALARS],
    pub(super) chars: u32,
}

impl Features {
    /// What is needed to learn from it later.
    pub(super) fn seen(&self) -> Features {
        Features { keys: Vec::new(), ..self.clone() }
    }

    /// What [`Features::seen`] holds, for [`Features::take`].
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let counts = [self.grams.len() as u32, self.words as u32, self.chars];
        counts.iter().chain(&self.form).for_each(|number| out.extend(number.to_le_bytes()));
        self.scalars.iter().for_each(|scalar| out.extend(scalar.to_le_bytes()));
        for (bucket, value) in &self.grams {
            out.extend(bucket.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
    }

    /// Reads what [`Features::put`] wrote, and gives what follows it; none where it is damaged.
    pub(super) fn take(bytes: &[u8]) -> Option<(Features, &[u8])> {
        let mut rest = bytes;
        let mut word = || {
            let (word, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u32::from_le_bytes(*word))
        };
        let bucket = |number: u32| (number < OTHER).then_some(number);
        let number = |bits: u32| Some(f32::from_bits(bits)).filter(|number| number.is_finite());
        let (grams, words, chars) = (word()? as usize, word()? as usize, word()?);
        let mut features = Features { words, chars, ..Features::default() };
        for form in &mut features.form {
            *form = bucket(word()?)?;
        }
        for scalar in &mut features.scalars {
            *scalar = number(word()?)?;
        }
        for _ in 0..grams {
            features.grams.push((bucket(word()?)?, number(word()?)?));
        }
        (words <= grams).then_some((features, rest))
    }

    /// The words alone, by bucket.
    pub(super) fn words(&self) -> &[(u32, f32)] {
        self.grams.get(..self.words).unwrap_or_default()
    }

    /// Reads `text`: its grams by term frequency, its numbers as they are. [`Encoder::encode`] weighs them.
    pub(super) fn read(&mut self, text: &str) {
        let text = text.get(..text.floor_char_boundary(READ_BYTES)).unwrap_or(text);
        let mut counts = Counts::default();
        self.keys.clear();
        self.opening = (0, 1);
        self.split(text, &mut counts);
        self.keys.sort_unstable();
        self.count();
        self.form = form(text);
        self.chars = counts.chars;
        self.scalars = counts.scalars(self.words as u32);
    }

    /// Splits into lower-case words at everything that is no letter or digit, and hashes on the way.
    fn split(&mut self, text: &str, counts: &mut Counts) {
        let (mut word, mut before) = (None, None);
        let mut in_number = false;
        for c in text.chars() {
            counts.see(c, &mut in_number);
            if c.is_ascii() {
                if c.is_ascii_alphanumeric() {
                    word = Some(step(word, c.to_ascii_lowercase() as u8));
                    counts.word_chars += 1;
                    continue;
                }
            } else if c.is_alphanumeric() {
                let mut utf8 = [0; 4];
                for lower in c.to_lowercase() {
                    for byte in lower.encode_utf8(&mut utf8).bytes() {
                        word = Some(step(word, byte));
                    }
                }
                counts.word_chars += 1;
                continue;
            }
            before = self.end(word.take(), before, counts);
        }
        self.end(word, before, counts);
    }

    /// Ends a word, if there is one: counts it, and the pair that it makes with the word before.
    fn end(&mut self, word: Option<u64>, before: Option<u64>, counts: &mut Counts) -> Option<u64> {
        let Some(word) = word else { return before };
        counts.words += 1;
        if self.opening.0 < OPENING {
            let (words, hash) = self.opening;
            self.opening = (words + 1, (hash.rotate_left(7) ^ word).wrapping_mul(SCRAMBLE));
            self.keys.push(bucket(self.opening.1) | OTHER);
        }
        counts.quantity_words += u32::from(QUANTITY_WORDS.contains(&word));
        self.keys.push(bucket(word));
        if let Some(before) = before {
            let pair = (before.rotate_left(5) ^ word).wrapping_mul(SCRAMBLE);
            self.keys.push(bucket(pair) | OTHER);
        }
        Some(word)
    }

    /// Turns the sorted keys into grams with their frequency.
    fn count(&mut self) {
        self.grams.clear();
        self.words = 0;
        let mut last_key = None;
        for &key in &self.keys {
            match self.grams.last_mut() {
                Some((_, frequency)) if last_key == Some(key) => *frequency += 1.0,
                _ => {
                    self.words += usize::from(key < OTHER);
                    self.grams.push((key & (OTHER - 1), 1.0));
                }
            }
            last_key = Some(key);
        }
        for (_, frequency) in self.grams.iter_mut().filter(|(_, frequency)| *frequency > 1.0) {
            *frequency = 1.0 + frequency.ln();
        }
    }
}

/// The form: of the first two characters, of the last two, and of the first and the last together.
fn form(text: &str) -> [u32; FORMS] {
    // Letters are told apart by case alone, digits not at all, marks and spaces are themselves.
    let shape = |c: Option<char>| match c {
        None => '\0',
        Some(c) if c.is_uppercase() => 'A',
        Some(c) if c.is_alphabetic() => 'a',
        Some(c) if c.is_numeric() => '0',
        Some(c) => c,
    };
    let (mut from, mut back) = (text.chars(), text.chars().rev());
    let (first, second) = (shape(from.next()), shape(from.next()));
    let (last, before) = (shape(back.next()), shape(back.next()));
    [('<', first, second), ('>', before, last), ('|', first, last)].map(|(kind, a, b)| {
        let bytes = [kind, a, b].into_iter().flat_map(|c| u32::from(c).to_le_bytes());
        bucket(bytes.fold(FNV.start, |hash, byte| FNV.step(hash, byte)))
    })
}

fn step(word: Option<u64>, byte: u8) -> u64 {
    FNV.step(word.unwrap_or(FNV.start), byte)
}

fn bucket(hash: u64) -> u32 {
    ((hash ^ (hash >> 32) ^ (hash >> 16)) & (BUCKETS as u64 - 1)) as u32
}

/// What is counted on the way through a prompt.
#[derive(Default)]
struct Counts {
    chars: u32,
    words: u32,
    word_chars: u32,
    numbers: u32,
    upper: u32,
    quantity_words: u32,
    /// `?`, `.`, `,`, `%`, `$`, new lines.
    marks: [u32; 6],
}

impl Counts {
    fn see(&mut self, c: char, in_number: &mut bool) {
        self.chars += 1;
        let digit = c.is_ascii_digit();
        self.numbers += u32::from(digit && !*in_number);
        *in_number = digit;
        if c.is_ascii_lowercase() || c == ' ' {
            return;
        }
        self.upper += u32::from(c.is_uppercase());
        if let Some(at) = ['?', '.', ',', '%', '$', '\n'].iter().position(|mark| *mark == c) {
            self.marks[at] += 1;
        }
    }

    fn scalars(&self, distinct_words: u32) -> [f32; SCALARS] {
        let log = |count: u32| (1.0 + count as f32).ln();
        let share = |part: u32, of: u32| part as f32 / of.max(1) as f32;
        let [questions, stops, commas, percents, dollars, lines] = self.marks.map(log);
        [
            log(self.chars),
            log(self.words),
            log(self.numbers),
            questions,
            stops,
            commas,
            percents,
            dollars,
            lines,
            share(self.word_chars, self.words),
            share(distinct_words, self.words),
            share(self.upper, self.chars),
            log(self.quantity_words),
        ]
    }
}

/// How features are weighed: learned from the training prompts, fixed from then on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Encoder {
    /// For each bucket, the inverse document frequency.
    idf: Vec<f32>,
    mean: [f32; SCALARS],
    deviation: [f32; SCALARS],
}

impl Encoder {
    /// Weighs everything alike: for a model that starts without training.
    pub(super) fn blank() -> Encoder {
        Encoder { idf: vec![1.0; BUCKETS], mean: [0.0; SCALARS], deviation: [1.0; SCALARS] }
    }

    /// Weighs words alike, and plain numbers by what they are in general.
    pub(super) fn general(mean: [f32; SCALARS], deviation: [f32; SCALARS]) -> Encoder {
        Encoder { mean, deviation, ..Encoder::blank() }
    }

    /// Learns from prompts that were read but not encoded.
    pub(super) fn fit(prompts: &[&Features]) -> Encoder {
        let mut seen = vec![0_u32; BUCKETS];
        let (mut mean, mut deviation) = ([0.0_f32; SCALARS], [0.0_f32; SCALARS]);
        let count = prompts.len().max(1) as f32;
        for prompt in prompts {
            for (bucket, _) in &prompt.grams {
                if let Some(seen) = seen.get_mut(*bucket as usize) {
                    *seen += 1;
                }
            }
            for (mean, value) in mean.iter_mut().zip(prompt.scalars) {
                *mean += value / count;
            }
        }
        for prompt in prompts {
            for ((sum, mean), value) in deviation.iter_mut().zip(mean).zip(prompt.scalars) {
                *sum += (value - mean).powi(2) / count;
            }
        }
        let idf = seen.iter().map(|seen| ((1.0 + count) / (1.0 + *seen as f32)).ln() + 1.0).collect();
        Encoder { idf, mean, deviation: deviation.map(|square| square.sqrt().max(1e-3)) }
    }

    /// Whether the word of a bucket is rare enough to tell of what a prompt is: at most one in eight prompts has it.
    pub(super) fn tells(&self, bucket: u32) -> bool {
        const COMMON: f32 = 3.079; // 1 + ln 8
        self.idf.get(bucket as usize).is_some_and(|idf| *idf > COMMON)
    }

    /// Weighs what was read, in place.
    pub(super) fn encode(&self, features: &mut Features) {
        let mut squares = 0.0;
        for (bucket, value) in &mut features.grams {
            *value *= self.idf.get(*bucket as usize).copied().unwrap_or(1.0);
            squares += *value * *value;
        }
        let scale = 1.0 / f32::sqrt(squares).max(1e-6);
        for (_, value) in &mut features.grams {
            *value *= scale;
        }
        for ((value, mean), deviation) in features.scalars.iter_mut().zip(self.mean).zip(self.deviation) {
            *value = ((*value - mean) / deviation).clamp(-CLAMP, CLAMP) * SCALAR_SHARE;
        }
    }

    /// The inverse document frequencies, mean and deviation, for the model's file.
    pub(super) fn parts(&self) -> (&[f32], &[f32; SCALARS], &[f32; SCALARS]) {
        (&self.idf, &self.mean, &self.deviation)
    }

    /// From what [`Encoder::parts`] gave.
    ///
    /// # Errors
    /// `invalid_request` when a number is not one that training gives.
    pub(super) fn from_parts(
        idf: Vec<f32>,
        mean: [f32; SCALARS],
        deviation: [f32; SCALARS],
    ) -> Result<Encoder> {
        let sound = idf.len() == BUCKETS
            && idf.iter().all(|v| v.is_finite() && *v > 0.0)
            && mean.iter().all(|v| v.is_finite())
            && deviation.iter().all(|v| v.is_finite() && *v > 0.0);
        if !sound {
            return Err(
                Error::invalid_request("the model file's feature weights are not sound").param("model")
            );
        }
        Ok(Encoder { idf, mean, deviation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Features {
        let mut features = Features::default();
        features.read(text);
        features
    }

    #[test]
    fn case_and_punctuation_do_not_matter_to_words_but_order_does() {
        let grams = |text| read(text).grams;
        assert_eq!(grams("Not good."), grams("not, GOOD"));
        assert_ne!(grams("not good"), grams("good not"));
        assert_eq!(grams("Äpfel"), grams("äPFEL"));
        assert_eq!(grams(" .,"), []);
        // Two words, their pair, and the first and the first two as such; a repeat counts by its logarithm.
        assert_eq!(grams("a b").len(), 5);
        assert!(grams("a a a").iter().any(|(_, tf)| (tf - (1.0 + 3_f32.ln())).abs() < 1e-6));
        assert_eq!(read("b a b").words().len(), 2);
    }

    #[test]
    fn the_form_is_how_a_prompt_begins_and_ends() {
        let check = |one, other, same: [bool; FORMS]| {
            let (one, other) = (read(one).form, read(other).form);
            assert_eq!([one[0] == other[0], one[1] == other[1], one[2] == other[2]], same);
        };
        check("Who wrote it?", "How is it?", [true, true, true]);
        check("who wrote it", "How is it?", [false, false, false]);
        check("Who wrote it", "Is it", [true, true, true]);
        check("7 + 8 =", "1 + 1 =\n", [true, false, false]);
        check("", "x", [false, false, false]);
    }

    #[test]
    fn the_plain_numbers_are_counted() {
        let text = "Each of 12 boxes costs $3.50, i.e. 5%?\nTotal?";
        let log = |count: f32| (1.0 + count).ln();
        let found = read(text).scalars;
        let words = 11.0; // Each of 12 boxes costs 3 50 i e 5 Total
        let expect = [45.0, words, 4.0, 2.0, 3.0, 1.0, 1.0, 1.0, 1.0].map(log);
        for (at, (found, expect)) in found.iter().zip(expect).enumerate() {
            assert!((found - expect).abs() < 1e-6, "number {at}: {found} is not {expect}");
        }
        assert!((found[9] - 29.0 / words).abs() < 1e-6);
        assert!((found[10] - 1.0).abs() < 1e-6);
        assert!((found[11] - 2.0 / 45.0).abs() < 1e-6);
        assert!((found[12] - log(2.0)).abs() < 1e-6);
    }

    #[test]
    fn encoding_gives_length_one_and_rare_words_weigh_more() {
        let prompts = [read("the cat"), read("the dog"), read("the bird")];
        let encoder = Encoder::fit(&prompts.iter().collect::<Vec<_>>());
        let mut features = read("the cat");
        let of = |features: &Features, word: &str| {
            let bucket = bucket(hashed(word.as_bytes()));
            features.grams.iter().find(|(b, _)| *b == bucket).unwrap().1
        };
        encoder.encode(&mut features);
        assert!(of(&features, "cat") > of(&features, "the"));
        let squares: f32 = features.grams.iter().map(|(_, v)| v * v).sum();
        assert!((squares - 1.0).abs() < 1e-5);
        assert!(features.scalars.iter().all(|v| v.abs() <= CLAMP * SCALAR_SHARE));
    }

    #[test]
    fn of_a_prompt_without_end_only_the_beginning_is_read() {
        let long = "ä ".repeat(5_000_000);
        let mut features = read(&long);
        assert!(features.chars as usize <= READ_BYTES);
        Encoder::blank().encode(&mut features);
        assert!(features.grams.iter().all(|(_, v)| v.is_finite()));
    }
}
