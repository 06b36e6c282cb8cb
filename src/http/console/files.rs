//! The files of the console as they are in the program: `build.rs` joins the modules of `web/console` into scripts and compresses
//! what is sent.

/// A file that is sent.
pub(super) struct File {
    /// Its path below `web/console`.
    pub path: &'static str,
    /// Its content in gzip.
    pub gzip: &'static [u8],
}

/// All files but the page.
pub(super) static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The page's text, with a placeholder for the folder of its files.
pub(super) const PAGE: &str = include_str!("../../../web/console/index.html");
