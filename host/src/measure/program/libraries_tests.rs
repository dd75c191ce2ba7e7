//! Libraries of a world without files.

use super::*;
use crate::measure::program::ld_cache::tests::cache;

struct World(BTreeMap<&'static str, Needs>);

impl Files for World {
    fn needs(&mut self, path: &Path) -> Result<Needs, LibraryError> {
        Ok(self.0[path.to_str().unwrap()].clone())
    }
    fn exists(&mut self, path: &Path) -> bool {
        self.0.contains_key(path.to_str().unwrap())
    }
}

fn needs(libraries: &[&str]) -> Needs {
    Needs {
        libraries: libraries.iter().map(|name| (*name).to_owned()).collect(),
        ..Needs::default()
    }
}

fn resolved(program: &Needs, world: &mut World, entries: &[(&str, &str)]) -> String {
    let cache = Cache::parse(&cache(entries)).unwrap();
    match resolve(Path::new("/bin/p"), program, &cache, world) {
        Err(error) => error.to_string(),
        Ok(found) => found
            .values()
            .flatten()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(" "),
    }
}

#[test]
fn needs_of_needs_are_followed_and_circles_end() {
    let mut world = World(BTreeMap::from([
        ("/l/a", needs(&["b", "c"])),
        ("/l/b", needs(&["a"])),
        ("/usr/lib/c", needs(&[])),
    ]));
    let entries = [("a", "/l/a"), ("b", "/l/b")];
    let found = resolved(&needs(&["a"]), &mut world, &entries);
    assert_eq!(found, "/l/a /l/b /usr/lib/c");
}

#[test]
fn directories_of_the_file_come_before_the_cache_and_all_levels_count() {
    let mut world = World(BTreeMap::from([
        ("/own/a", needs(&["b"])),
        ("/own/glibc-hwcaps/x86-64-v3/a", needs(&[])),
        ("/own/b", needs(&[])),
        ("/l/a", needs(&[])),
        ("/l/b", needs(&[])),
    ]));
    let entries = [("a", "/l/a"), ("b", "/l/b")];
    let mut program = needs(&["a"]);
    program.runpath = Some(vec!["/own".to_owned()]);
    // DT_RUNPATH is for the file's own libraries only, DT_RPATH for theirs as well.
    let found = resolved(&program, &mut world, &entries);
    assert_eq!(found, "/own/a /own/glibc-hwcaps/x86-64-v3/a /l/b");
    program.runpath = None;
    program.rpath = vec!["/own".to_owned()];
    let found = resolved(&program, &mut world, &entries);
    assert_eq!(found, "/own/a /own/glibc-hwcaps/x86-64-v3/a /own/b");
}

#[test]
fn what_can_not_be_resolved_is_refused_with_a_sentence() {
    let mut world = World(BTreeMap::from([("/l/a", needs(&["absent"]))]));
    let entries = [("a", "/l/a")];
    let found = resolved(&needs(&["a"]), &mut world, &entries);
    assert!(
        found.starts_with("/l/a needs the library absent"),
        "{found}"
    );
    let mut program = needs(&["a"]);
    program.interpreter = Some("/lib/ld-musl-x86_64.so.1".to_owned());
    assert!(resolved(&program, &mut world, &entries).contains("not the loader of glibc"));
    for directory in ["$ORIGIN/lib", "lib", "", "/$LIB"] {
        let mut program = needs(&["a"]);
        program.runpath = Some(vec![directory.to_owned()]);
        let found = resolved(&program, &mut world, &entries);
        assert!(found.contains("cannot be resolved"), "{found}");
    }
    for name in ["./a", "/l/a"] {
        let found = resolved(&needs(&[name]), &mut world, &entries);
        assert!(found.contains("by its path"), "{found}");
    }
}

#[test]
fn a_copy_belongs_where_the_loader_would_look_for_its_file() {
    for (path, place) in [
        ("/usr/lib/liba.so.1", "a"),
        ("/l/glibc-hwcaps/x86-64-v3/a", "glibc-hwcaps/x86-64-v3/a"),
        ("/l/glibc-hwcaps/other/a", "a"),
        ("/l/x86-64-v3/a", "a"),
        ("/", "a"),
    ] {
        assert_eq!(place_of("a", Path::new(path)), PathBuf::from(place));
    }
}

#[test]
fn the_directory_of_a_library_is_its_origin() {
    let mut a = needs(&["b"]);
    a.runpath = Some(vec!["$ORIGIN/deep".to_owned()]);
    let mut world = World(BTreeMap::from([("/l/a", a), ("/l/deep/b", needs(&[]))]));
    let found = resolved(&needs(&["a"]), &mut world, &[("a", "/l/a")]);
    assert_eq!(found, "/l/a /l/deep/b");
}
