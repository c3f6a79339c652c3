//! Starts children so that the kernel ends them with this process, however it ends.

use std::io;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

/// The same command, to be killed when the process that starts it is gone: `setpriv --pdeathsig` (util-linux) asks the
/// kernel for it and becomes the program. Where there is no setpriv, dropping the child is all there is.
pub(super) fn bound_to_this_process(command: Command) -> Command {
    const SETPRIV: &str = "/usr/bin/setpriv";
    if !std::path::Path::new(SETPRIV).exists() {
        return command;
    }
    let mut bound = Command::new(SETPRIV);
    bound.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

struct Request {
    command: Command,
    answer: mpsc::Sender<io::Result<Child>>,
}

/// Starts `command` from a thread that lasts as long as the process: for the kernel the parent is the *thread* that
/// started a child (prctl(2), PR_SET_PDEATHSIG), and a test's thread ends with the test.
pub(super) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for mut request in requests {
                if let Err(mpsc::SendError(Ok(mut unwanted))) = request.answer.send(request.command.spawn()) {
                    // Whoever asked is gone; the child must not stay.
                    if unwanted.kill().is_ok() {
                        unwanted.wait().ok();
                    }
                }
            }
        });
        sender
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, child) = mpsc::channel();
    spawner.send(Request { command, answer }).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
