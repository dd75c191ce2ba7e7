//! The person who is asked for the PIN.
//!
//! This is the one question before the latch is closed: the TPM needs the PIN for its answer. Nothing of
//! the disk has been opened by then, and no other program runs; whatever is answered, the latch comes next.

use zeroize::Zeroizing;

use crate::{
    boot::{
        config::Settings,
        open::prompt::{Prompt, PromptError},
    },
    config::OnFailure,
    unlock::{AskPin, NoAnswer, PIN_TRIES},
};

/// Whoever sits at one of the consoles, which are opened with the first question.
pub(super) struct Person {
    prompt: Option<Prompt>,
    volume: String,
    /// What follows when no PIN is given.
    otherwise: OnFailure,
    stars: bool,
}

impl Person {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            prompt: None,
            volume: settings.volumes.first.device.to_string(),
            otherwise: settings.on_failure,
            stars: settings.stars,
        }
    }
}

impl AskPin for Person {
    fn ask(&mut self, number: usize, wrong: Option<&str>) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        let prompt = match self.prompt.take() {
            Some(prompt) => prompt,
            None => Prompt::open(self.stars).map_err(nobody)?,
        };
        let prompt = self.prompt.insert(prompt);
        let may_decline = self.otherwise == OnFailure::Prompt;
        let mut say = |line: &str| prompt.say(line).map_err(nobody);
        match wrong {
            Some(wrong) => say(&format!("taoboot: {wrong}"))?,
            None => {
                say("")?;
                say(
                    "taoboot: the TPM knows this launch and gives the disk key with the PIN. If you did not expect this question, do not answer it.",
                )?;
                if may_decline {
                    say("taoboot: an empty line leads to the passphrase or recovery key.")?;
                }
            }
        }
        let question = format!("PIN for {} ({number} of {PIN_TRIES}): ", self.volume);
        let typed = prompt.ask_for(&question, may_decline).map_err(nobody)?;
        if typed.is_empty() {
            return Err(NoAnswer::Declined);
        }
        Ok(typed)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what map_err hands over"
)]
fn nobody(error: PromptError) -> NoAnswer {
    NoAnswer::Nobody(error.to_string())
}
