//! Pictures and sound in MAOF's own words: what is asked to be made, heard or said, and what comes back.
//!
//! ```
//! use maof_core::media::SpeechRequest;
//! let ask = SpeechRequest { input: "Good morning.".to_owned(), voice: "alloy".to_owned(), ..SpeechRequest::default() };
//! assert_eq!(ask.input.chars().count(), 13);
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to make pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageRequest {
    /// What to show.
    pub prompt: String,
    /// How many; 1 when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Width and height in pixels, such as `1024x1024`, or `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// How carefully, in the dialect's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// The file format: `png`, `jpeg` or `webp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// A seed for repeatable sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// What only its dialect knows.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
    /// The dialect whose words `rest` is in.
    #[serde(skip)]
    pub spoken: Option<&'static str>,
}

/// One picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// Where it is; a `data:` URL when it came with the answer.
    pub url: String,
    /// The prompt that it was made from, where the provider changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
}

/// The pictures that were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageAnswer {
    /// Each picture, in order.
    pub pictures: Vec<Picture>,
}

/// A request to write down what is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TranscribeRequest {
    /// The sound, as a file's bytes.
    pub audio: Bytes,
    /// The file's name; its ending tells the format.
    pub file_name: String,
    /// The file's media type, such as `audio/wav`.
    pub media_type: Option<String>,
    /// The language spoken, as ISO 639-1.
    pub language: Option<String>,
    /// Words that the text may begin from, to guide spelling.
    pub prompt: Option<String>,
    /// How the text shall come: `json`, `text`, `srt`, `verbose_json` or `vtt`.
    pub format: Option<String>,
    /// Randomness, 0 to 1.
    pub temperature: Option<f64>,
    /// What only its dialect knows: form fields by name, in order.
    pub rest: Vec<(String, String)>,
}

/// What was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TranscribeAnswer {
    /// The text.
    pub text: String,
    /// How long the sound is, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What only its dialect knows, such as segments and words with their times.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// A request to say a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpeechRequest {
    /// The text.
    pub input: String,
    /// Who says it, in the provider's word.
    pub voice: String,
    /// The file format: `mp3`, `opus`, `aac`, `flac`, `wav` or `pcm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// How fast, 1 being as usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// How it shall be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What only its dialect knows.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rest: Map<String, Value>,
}

/// A text said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeechAnswer {
    /// The sound, as a file's bytes.
    pub audio: Bytes,
    /// Its media type.
    pub media_type: String,
}
