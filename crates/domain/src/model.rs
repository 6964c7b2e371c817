//! The language model that an organization lets its assistant use: where it is and how much of it may be used. Its key is no
//! part of this; it lies apart, sealed, and is good for one address alone.

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::webhook::check_url;

crate::words! {
    /// Which language its address speaks.
    ModelProvider {
        /// The chat completions of OpenAI, which hosted and local servers speak alike.
        OpenAiCompatible = "openai_compatible",
        /// The messages of Anthropic.
        Anthropic = "anthropic",
    }
}

impl ModelProvider {
    /// Where it is, when nothing else is said.
    pub const fn base_url(self) -> &'static str {
        match self {
            ModelProvider::OpenAiCompatible => "https://api.openai.com/v1",
            ModelProvider::Anthropic => "https://api.anthropic.com",
        }
    }
}

/// Bytes of the name of a model.
pub const MODEL_BYTES_MAX: usize = 200;
/// Calls of tools for one question, unless the organization says otherwise, and at most.
pub const STEPS_DEFAULT: u32 = 8;
pub const STEPS_MAX: u32 = 20;
/// Tokens that the model may write for one question, unless the organization says otherwise, at least and at most.
pub const OUTPUT_TOKENS_DEFAULT: u32 = 4_000;
pub const OUTPUT_TOKENS_MIN: u32 = 200;
pub const OUTPUT_TOKENS_MAX: u32 = 32_000;
/// Tokens that the organization may use in a day (UTC), read and written, unless it says otherwise, and at most.
pub const TOKENS_PER_DAY_DEFAULT: u32 = 1_000_000;
pub const TOKENS_PER_DAY_MAX: u32 = 1_000_000_000;

/// A language model and the limits of its use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSettings {
    pub provider: ModelProvider,
    /// Without a slash at the end.
    pub base_url: String,
    /// As the provider calls it.
    pub model: String,
    /// Calls of tools for one question.
    pub steps_max: u32,
    /// Tokens that it may write for one question.
    pub output_tokens_max: u32,
    /// Tokens of the whole organization in a day (UTC), read and written. 0 stops it.
    pub tokens_per_day_max: u32,
    /// Whether it is used at all.
    pub enabled: bool,
}

impl ModelSettings {
    /// A model of this provider, with every limit at its default.
    pub fn of(provider: ModelProvider) -> ModelSettings {
        ModelSettings {
            provider,
            base_url: provider.base_url().to_owned(),
            model: String::new(),
            steps_max: STEPS_DEFAULT,
            output_tokens_max: OUTPUT_TOKENS_DEFAULT,
            tokens_per_day_max: TOKENS_PER_DAY_DEFAULT,
            enabled: true,
        }
    }

    /// Checks every part; `anywhere` also allows http and addresses that are not public.
    ///
    /// # Errors
    /// `validation_failed` naming the one that does not fit.
    pub fn check(&self, anywhere: bool) -> Result<(), Refusal> {
        check_url("baseUrl", &self.base_url, anywhere)?;
        if self.base_url.contains('?') {
            return Err(Refusal::invalid("baseUrl", "must not have a query"));
        }
        if !(1..=MODEL_BYTES_MAX).contains(&self.model.len())
            || !self.model.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Refusal::invalid("model", "must be 1 to 200 printable ASCII characters"));
        }
        for (name, value, least, most) in [
            ("stepsMax", self.steps_max, 1, STEPS_MAX),
            ("outputTokensMax", self.output_tokens_max, OUTPUT_TOKENS_MIN, OUTPUT_TOKENS_MAX),
            ("tokensPerDayMax", self.tokens_per_day_max, 0, TOKENS_PER_DAY_MAX),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Refusal::invalid(name, format!("must be {least} to {most}")));
            }
        }
        Ok(())
    }

    /// What its key is bound to: a key given for one address is never sent to another.
    pub fn address(&self) -> String {
        format!("{} {}", self.provider, self.base_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_name_an_address_and_limits() {
        let good =
            ModelSettings { model: "gpt-x".into(), ..ModelSettings::of(ModelProvider::OpenAiCompatible) };
        good.check(false).unwrap();
        for bad in [
            ModelSettings { model: String::new(), ..good.clone() },
            ModelSettings { model: "a b".into(), ..good.clone() },
            ModelSettings { base_url: "http://models.example".into(), ..good.clone() },
            ModelSettings { base_url: "https://10.0.0.1/v1".into(), ..good.clone() },
            ModelSettings { base_url: "https://models.example/?key=x".into(), ..good.clone() },
            ModelSettings { steps_max: 0, ..good.clone() },
            ModelSettings { output_tokens_max: 1_000_000, ..good.clone() },
        ] {
            assert!(bad.check(false).is_err(), "{bad:?}");
        }
        let local = ModelSettings { base_url: "http://127.0.0.1:11434/v1".into(), ..good.clone() };
        local.check(true).unwrap();
        assert_ne!(local.address(), good.address());
    }
}
