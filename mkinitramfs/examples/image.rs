//! The `image` verb alone, for trying it without the rest of xtask.

fn main() -> std::process::ExitCode {
    #[derive(argh::FromArgs)]
    /// The `image` verb alone.
    struct Alone {
        #[argh(subcommand)]
        verb: Verb,
    }
    #[derive(argh::FromArgs)]
    #[argh(subcommand)]
    enum Verb {
        Image(mkinitramfs::image::ImageCommand),
    }
    let Verb::Image(command) = argh::from_env::<Alone>().verb;
    match command.run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
