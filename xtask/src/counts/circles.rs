//! Circles: files of one package each of which uses, through the others, itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::modules::Arrow;

/// Files that all reach each other.
pub struct Circle {
    pub files: BTreeSet<PathBuf>,
    /// One arrow for each pair of them that has one.
    pub arrows: Vec<Arrow>,
}

/// Circles of files neither of which is a part of the other, and then those that a module and its
/// own parts make: `mod.rs` calls a part, and the part uses what `mod.rs` defines.
pub fn split(arrows: &[Arrow]) -> (Vec<Circle>, Vec<Circle>) {
    let across: Vec<Arrow> = arrows.iter().filter(|a| !a.is_up).cloned().collect();
    let across = find(&across);
    let mut all = find(arrows);
    all.retain(|circle| circle.arrows.iter().any(|arrow| arrow.is_up));
    (across, all)
}

/// The circles among `arrows`.
pub fn find(arrows: &[Arrow]) -> Vec<Circle> {
    let mut next: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = next
        .keys()
        .map(|file| (*file, reach(file, &next)))
        .collect();
    let mutual = |one: &PathBuf, other: &PathBuf| {
        let reaches = |from, to| reached.get(from).is_some_and(|files| files.contains(to));
        reaches(one, other) && reaches(other, one)
    };
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for file in reached.keys().filter(|file| mutual(file, file)) {
        let with =
            |circle: &&mut BTreeSet<PathBuf>| circle.first().is_some_and(|f| mutual(f, file));
        if let Some(circle) = circles.iter_mut().find(with) {
            circle.insert((*file).clone());
        } else {
            circles.push([(*file).clone()].into());
        }
    }
    let mut circles: Vec<Circle> = circles.into_iter().map(Circle::of).collect();
    for arrow in arrows {
        for circle in &mut circles {
            if circle.files.contains(&arrow.from) && circle.files.contains(&arrow.to) {
                circle.add(arrow.clone());
                break;
            }
        }
    }
    circles
}

impl Circle {
    fn of(files: BTreeSet<PathBuf>) -> Self {
        let arrows = Vec::new();
        Self { files, arrows }
    }

    fn add(&mut self, arrow: Arrow) {
        let is_same = |known: &Arrow| known.from == arrow.from && known.to == arrow.to;
        if !self.arrows.iter().any(is_same) {
            self.arrows.push(arrow);
        }
    }
}

/// Every file that `file` leads to.
fn reach<'a>(
    file: &PathBuf,
    next: &BTreeMap<&'a PathBuf, BTreeSet<&'a PathBuf>>,
) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![file];
    while let Some(file) = waiting.pop() {
        for to in next.get(file).into_iter().flatten() {
            if reached.insert(*to) {
                waiting.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(text: &str) -> Arrow {
        let (from, to) = text.split_once('>').unwrap();
        Arrow {
            from: from.into(),
            to: to.into(),
            line: 1,
            path: String::new(),
            is_up: false,
        }
    }

    fn circles(arrows: &str) -> String {
        let arrows: Vec<Arrow> = arrows.split_whitespace().map(arrow).collect();
        let found = find(&arrows);
        let shown = found.iter().map(|circle| {
            let files: Vec<_> = circle.files.iter().map(|f| f.to_str().unwrap()).collect();
            format!("{}:{}", files.join(""), circle.arrows.len())
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn circles_are_found() {
        for (arrows, expected) in [
            ("a>b b>c a>c", ""),
            ("a>b b>a b>a", "ab:2"),
            ("a>b b>c c>a c>d d>e e>d x>a", "abc:3 de:2"),
        ] {
            assert_eq!(circles(arrows), expected, "{arrows}");
        }
    }
}
