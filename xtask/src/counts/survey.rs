//! Everything that is counted in one checkout.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Result;
use proc_macro2::TokenStream;

use super::{
    allowed, arrows,
    circles::{self, Circle},
    figure::Figure,
    modules::Modules,
    outside::{self, Depth},
    package::{self, Package},
    places::{self, LONGEST},
    tokens,
};

/// What was found. Places are shown relative to the root.
#[derive(Default)]
pub struct Survey {
    root: PathBuf,
    circles: Vec<String>,
    circles_with_parts: Vec<String>,
    arrows: Vec<String>,
    elsewhere: Vec<String>,
    outside: Vec<String>,
    unnamed: Vec<String>,
    defaults: Vec<String>,
    defaults_without_reason: Vec<String>,
    text_errors: Vec<String>,
    long_files: Vec<String>,
}

impl Survey {
    /// Surveys the checkout at `root`.
    pub fn of(root: &Path) -> Result<Self> {
        let mut survey = Self {
            root: root.to_path_buf(),
            ..Self::default()
        };
        for package in package::all(root)? {
            survey.package(&package)?;
        }
        Ok(survey)
    }

    /// As figures, in the order in which they are shown.
    pub fn figures(self) -> Vec<Figure> {
        let figure = |title, places, allowed| Figure {
            title,
            places,
            allowed,
        };
        let count = self.defaults.len();
        vec![
            figure("circles of imports between files", self.circles, 0),
            figure(
                "circles of a module and its own parts",
                self.circles_with_parts,
                0,
            ),
            figure(
                "arrows between packages that are not allowed",
                self.arrows,
                0,
            ),
            figure("#[path] that leaves its package", self.elsewhere, 0),
            figure("paths that leave the repository", self.outside, 0),
            figure(
                "dependencies that no source file names",
                self.unnamed,
                allowed::UNNAMED,
            ),
            figure(
                "unwrap_or_default() in what is shipped",
                self.defaults,
                count,
            ),
            figure(
                "unwrap_or_default() in what is shipped without a comment",
                self.defaults_without_reason,
                allowed::DEFAULTS_WITHOUT_REASON,
            ),
            figure(
                "Result<_, String> in what is shipped",
                self.text_errors,
                allowed::TEXT_ERRORS,
            ),
            figure(
                "files of more than 400 lines",
                self.long_files,
                allowed::LONG_FILES,
            ),
        ]
    }

    fn package(&mut self, package: &Package) -> Result<()> {
        // The same file may be a module of several targets.
        let mut files: BTreeMap<PathBuf, bool> = BTreeMap::new();
        let mut found = Vec::new();
        let mut elsewhere = BTreeSet::new();
        for target in &package.targets {
            let modules = Modules::read(&target.root)?;
            for file in modules.files() {
                let is_product = files.entry(file.to_path_buf()).or_default();
                *is_product = *is_product || target.is_product();
            }
            found.extend(modules.arrows());
            for place in &modules.elsewhere {
                let file = std::path::absolute(&place.file)?;
                if !normal(&file).starts_with(&package.directory) {
                    elsewhere.insert(self.place(&place.named_in, place.line));
                }
            }
        }
        self.elsewhere.extend(elsewhere);
        self.arrows.extend(arrows::not_allowed(package, &self.root));
        let (across, with_parts) = circles::split(&found);
        let shown = |circles: &[Circle]| circles.iter().map(|c| self.circle(c)).collect::<Vec<_>>();
        let (across, with_parts) = (shown(&across), shown(&with_parts));
        self.circles.extend(across);
        self.circles_with_parts.extend(with_parts);
        let mut words = BTreeSet::new();
        for (file, is_product) in files {
            let tokens = tokens::whole(&file)?;
            words.extend(tokens::words(&tokens));
            // What another package owns is looked at there.
            if normal(&file).starts_with(&package.directory) {
                for line in outside::look(&tokens, self.depth(package, &file)) {
                    let place = self.place(&file, line);
                    self.outside.push(place);
                }
                let is_shipped = is_product && !package.is_below_tests(&self.root);
                self.file(&file, &tokens, is_shipped)?;
            }
        }
        self.unnamed.extend(arrows::not_named(package, &words));
        Ok(())
    }

    fn file(&mut self, file: &Path, tokens: &TokenStream, is_shipped: bool) -> Result<()> {
        let places = places::look(file, tokens)?;
        if places.lines > LONGEST {
            let shown = self.shown(file);
            self.long_files
                .push(format!("{shown}: {} lines", places.lines));
        }
        if !is_shipped {
            return Ok(());
        }
        for line in places.defaults {
            self.defaults.push(self.place(file, line));
        }
        for line in places.defaults_without_reason {
            self.defaults_without_reason.push(self.place(file, line));
        }
        for line in places.text_errors {
            self.text_errors.push(self.place(file, line));
        }
        Ok(())
    }

    fn depth(&self, package: &Package, file: &Path) -> Depth {
        let below = |directory: &Path| {
            let below = directory.strip_prefix(&self.root);
            below.map_or(0, |below| below.components().count())
        };
        Depth {
            package: below(&package.directory),
            file: normal(file).parent().map_or(0, below),
        }
    }

    fn circle(&self, circle: &Circle) -> String {
        let files: Vec<String> = circle.files.iter().map(|file| self.shown(file)).collect();
        let mut lines = vec![format!("{} files: {}", files.len(), files.join(", "))];
        for arrow in &circle.arrows {
            lines.push(format!(
                "  {} uses {} of {}",
                self.place(&arrow.from, arrow.line),
                arrow.path,
                self.shown(&arrow.to)
            ));
        }
        lines.join("\n")
    }

    fn place(&self, file: &Path, line: usize) -> String {
        format!("{}:{line}", self.shown(file))
    }

    fn shown(&self, file: &Path) -> String {
        let file = normal(file);
        let below = file.strip_prefix(&self.root);
        below.unwrap_or(&file).display().to_string()
    }
}

/// A path without `..`, as it is written: links in a checkout lead nowhere else.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
