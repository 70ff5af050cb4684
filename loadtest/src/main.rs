//! `loadtest`: real traffic, mirrored.

fn main() -> std::process::ExitCode {
    loadtest::main()
}
