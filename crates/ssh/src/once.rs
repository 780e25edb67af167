//! One program, run once over a session of its own.
//!
//! **Must hold**: whoever drops the future ends the session, and with it the program's input.

use std::ops::ControlFlow;

use sickbay_collect::remote::BOOTSTRAP;
use sickbay_model::{ProbeError, SshTarget};

use crate::inbox::{End, MAX_WAITING_BYTES};
use crate::shared::Way;
use crate::{Ssh, trouble};

impl Ssh {
    /// Runs a program of ours on a machine and gives what it writes to `take`, until that breaks or
    /// the program closes its output. `line` is what [`BOOTSTRAP`] reads; its input stays open until
    /// then. Returns the beginning of its error output, made printable, where it ended by itself. No
    /// deadline of its own, but for opening the session.
    ///
    /// # Errors
    /// No session opens, the machine executes nothing for us, the session is lost, or more came at
    /// once than is kept.
    pub async fn run_program(
        &self,
        target: &SshTarget,
        line: &[u8],
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<String, ProbeError> {
        let Way { session, who, .. } = &self.shared().open(target, &mut None).await?;
        let refused = |error: russh::Error| match session.is_alive() {
            true => trouble::failed(format!("{who} opens no channel for us: {error}")),
            false => session.lost(),
        };
        let opened = session.execute(BOOTSTRAP).await.map_err(refused)?;
        opened.send(line).await.map_err(refused)?;
        let ended = loop {
            match opened.inbox.next().await {
                Ok(bytes) if take(&bytes).is_break() => break Ok(String::new()),
                Ok(_) => {}
                Err(End::Lost) => break Err(session.lost()),
                Err(End::Flooded) => {
                    let message = format!("{who} sent more than {MAX_WAITING_BYTES} bytes at once");
                    break Err(trouble::malformed(message));
                }
                Err(End::Refused) => {
                    break Err(trouble::denied(format!("{who} does not let us execute commands")));
                }
                Err(End::Closed) => {
                    break Ok(trouble::printable(&opened.inbox.last_words().0));
                }
            }
        };
        opened.close().await;
        session.end().await;
        ended
    }
}
