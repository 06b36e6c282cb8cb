//! `emgate man` and `emgate completions`: made from the definition of the command line, so that they cannot differ from
//! it.
//!
//! `clap_mangen` fills the lines of a page into paragraphs, examples included; they are written here instead, with what
//! the definition does not know: variables, files, exit codes, other pages.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Failure, output};

/// `emgate man`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  emgate man /usr/local/share/man/man1
  emgate man . && man ./emgate-plan-test.1")]
pub struct ManArgs {
    /// Directory to write to, created when absent: emgate.1, and a page for each subcommand
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The date in the pages, in seconds since 1970; without it they have none
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub date: Option<i64>,
}

/// `emgate completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  emgate completions bash > /etc/bash_completion.d/emgate
  emgate completions zsh > /usr/local/share/zsh/site-functions/_emgate
  emgate completions fish > ~/.config/fish/completions/emgate.fish
  emgate completions powershell >> $PROFILE")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// What the first page tells beside the command line: a title, and entries of a term and its meaning.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "ENVIRONMENT",
        &[
            (
                "EMGATE_CONFIG",
                "The configuration file, where --config is not given.",
            ),
            (
                "EMGATE_LOG",
                "What is logged to stderr, for example emgate=debug,info.",
            ),
            (
                "EMGATE_SECTION__KEY",
                "A key of the configuration; it overrides the file: EMGATE_SERVER__LISTEN is server.listen.",
            ),
            (
                "NOTIFY_SOCKET, WATCHDOG_USEC",
                "Set by systemd; emgate serve tells it when requests are accepted, and that it is alive.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            (
                "emgate.toml",
                "The configuration, in the current directory or where --config says; packages have it in /etc/emgate. \
                 emgate check --defaults prints every key with its default and meaning.",
            ),
            (
                "/etc/emgate/secrets",
                "Of packages: the secrets, a file for each, which systemd gives to the service.",
            ),
            (
                "/var/lib/emgate",
                "Of packages: the store of the service and its encryption key.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "emgate serve stops in order; a second one ends it at once.",
            ),
            ("SIGHUP", "emgate serve reads the files of server.tls again."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "It was done."),
            (
                "1",
                "It failed; stderr says why. Commands with other codes list them.",
            ),
            ("2", "The command line was wrong."),
        ],
    ),
];

/// `emgate man`: writes the pages of `program` and of each of its subcommands.
///
/// # Errors
/// The directory cannot be written, or the date is none.
pub fn man(args: &ManArgs, program: Command) -> Result<(), Failure> {
    let date = match args.date {
        Some(seconds) => jiff::Timestamp::from_second(seconds)
            .map_err(|error| Failure::usage(format!("--date {seconds}: {error}")))?
            .strftime("%Y-%m-%d")
            .to_string(),
        None => String::new(),
    };
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let cannot = |error: io::Error| Failure::new(format!("cannot write to {}: {error}", args.dir.display()));
    fs::create_dir_all(&args.dir).map_err(cannot)?;
    let version = program.get_version().unwrap_or_default().to_owned();
    write_pages(&program, None, &[&date, &version], &args.dir).map_err(cannot)
}

/// `emgate completions`: prints the script that a shell reads.
///
/// # Errors
/// stdout cannot be written.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "emgate", &mut script);
    output(&script)
}

fn write_pages(command: &Command, above: Option<&str>, facts: &[&str; 2], dir: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(dir.join(format!("{name}.1")), page(command, above, facts)?)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_pages(below, Some(name), facts, dir)?;
    }
    Ok(())
}

fn page(command: &Command, above: Option<&str>, &[date, version]: &[&str; 2]) -> io::Result<String> {
    let mut page = Vec::new();
    let help = command.get_after_help().map(ToString::to_string);
    Man::new(command.clone().after_help(Resettable::Reset))
        .date(date)
        .source(format!("emgate {version}"))
        .manual("emgate")
        .render(&mut page)?;
    let mut own = Roff::new();
    after_help(&mut own, help.as_deref().unwrap_or_default());
    match above {
        None => SECTIONS.iter().for_each(|section| entries(&mut own, section)),
        Some(above) => {
            own.control("SH", ["SEE ALSO"]);
            own.text([bold(above), roman("(1)")]);
        }
    }
    let page = String::from_utf8_lossy(&page)
        // An empty date is left out by `roff`, and the version would take its place.
        .replacen(" 1  \"", " 1 \"\" \"", 1)
        // Words that are typed are neither hyphenated nor stretched.
        .replacen("\n.SH NAME\n", "\n.ad l\n.nh\n.SH NAME\n", 1)
        // Before the values of an option there is one blank line.
        .replace("\n.br\n\n.br\n", "\n.sp\n");
    Ok(page + &own.to_roff())
}

/// Lines that are indented keep their form, as examples do; others are filled into paragraphs.
fn after_help(page: &mut Roff, help: &str) {
    for block in help.split("\n\n").filter(|block| !block.is_empty()) {
        let block = match block.strip_prefix("Examples:\n") {
            Some(examples) => {
                page.control("SH", ["EXAMPLES"]);
                examples
            }
            None => {
                page.control("PP", []);
                block
            }
        };
        let lines: Vec<&str> = block.lines().collect();
        for group in lines.chunk_by(|a, b| a.starts_with(' ') == b.starts_with(' ')) {
            let is_kept = group.iter().all(|line| line.starts_with(' '));
            if is_kept {
                page.control("nf", []);
            }
            for line in group {
                page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            if is_kept {
                page.control("fi", []);
            }
        }
    }
}

fn entries(page: &mut Roff, (title, entries): &(&str, &[(&str, &str)])) {
    page.control("SH", [*title]);
    for (term, meaning) in *entries {
        page.control("TP", []);
        page.text([bold(*term)]);
        page.text([roman(*meaning)]);
    }
}
