use super::*;
use crate::grub::{script::parse, variables::Unknown};

/// Says each echo's arguments, with ? for those that are uncertain.
struct Echo(Vec<String>);

impl Visitor for Echo {
    type Error = String;
    fn command(
        &mut self,
        _: usize,
        words: &[Word],
        v: &Variables,
        certain: bool,
    ) -> Result<(), String> {
        if literal(&words[0]).as_deref() != Some("echo") {
            return Ok(());
        }
        let arguments = v.expand_all(words).map_err(|Unknown(name)| name)?;
        let texts: Vec<String> = arguments
            .iter()
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect();
        self.0.push(format!(
            "{}{}",
            texts[1..].join("|"),
            if certain { "" } else { "?" }
        ));
        Ok(())
    }
    fn too_long(&self, line: usize) -> String {
        format!("too long in {line}")
    }
    fn menu(
        &mut self,
        _: usize,
        _: MenuKind,
        _: &[Word],
        _: &Arc<[Statement]>,
        _: &Variables,
        _: bool,
    ) -> Result<(), String> {
        Ok(())
    }
}

fn echoes(script: &str) -> Result<Vec<String>, String> {
    let mut echo = Echo(Vec::new());
    Walk::new(Variables::default()).visit(&parse(script.as_bytes()).unwrap(), true, &mut echo)?;
    Ok(echo.0)
}

#[test]
fn values_are_split_only_outside_of_quotes() {
    let script = "set a='x  y'\nb=z\necho $a \"$a\" $b\"$a\"$b w${a}w";
    assert_eq!(echoes(script).unwrap(), ["x|y|x  y|zx  yz|wx|yw"]);
    assert_eq!(echoes("set a=\necho $a b \"$a\" '' c").unwrap(), ["b|||c"]);
}

#[test]
fn only_decidable_conditions_are_decided() {
    let script = "set a=b\nif [ x$a = xb ]; then echo 1; else echo 2; fi\n\
        if [ -n \"$a\" ]; then echo 3; fi\nif ! true; then echo 4; fi\n\
        if [ x$grub_platform = xefi ]; then\nset a=c\necho 5; else echo 6; fi";
    // ! is not a command of GRUB's own, so that it cannot be decided.
    assert_eq!(echoes(script).unwrap(), ["1", "3", "4?", "5?", "6?"]);
}

#[test]
fn what_an_undecided_branch_sets_is_unknown() {
    let script = "set a=b\nif [ $x ]; then set a=c; fi\necho $a";
    assert!(echoes(script).is_err());
}

#[test]
fn what_is_preset_counts_where_the_script_leaves_it_open() {
    let mut variables = Variables::default();
    variables.preset("opts", "given");
    let mut echo = Echo(Vec::new());
    let script = b"if [ $x ]; then set opts=; else set opts='a b'; fi\necho $opts\n\
        set opts=certain\necho $opts\nif [ $x ]; then unset opts; fi\necho $opts";
    let statements = parse(script).unwrap();
    let mut walk = Walk::new(variables);
    walk.visit(&statements, true, &mut echo).unwrap();
    assert_eq!(echo.0, ["given", "certain", "given"]);
}

#[test]
fn what_a_loop_sets_is_unknown() {
    assert_eq!(
        echoes("set i=a\nfor i in b; do x; done\necho $i").unwrap_err(),
        "i"
    );
    assert_eq!(
        echoes("set i=a\nwhile set i=b; do x; done\necho $i").unwrap_err(),
        "i"
    );
}

#[test]
fn what_another_environment_block_sets_is_unknown() {
    for options in [
        "-f /other",
        "--file /other",
        "--file=/other",
        "",
        "--skip-sig -f /x",
    ] {
        let script = format!("set a=b\nload_env {options}\necho $a");
        assert_eq!(echoes(&script).unwrap_err(), "a", "{options}");
    }
    let script = "set a=b\nload_env -f /other c\necho $a";
    assert_eq!(echoes(script).unwrap(), ["b"]);
    assert_eq!(
        echoes("set a=b\nload_env -f /x a\necho $a").unwrap_err(),
        "a"
    );
}

#[test]
fn functions_run_where_they_are_called() {
    let script = "function f { echo in; }\necho before\nf\n";
    assert_eq!(echoes(script).unwrap(), ["before", "in"]);
}

#[test]
fn a_function_of_an_undecided_branch_is_not_certain() {
    let either = "if [ $x ]; then function f { echo one; set a=c; }; fi\n";
    assert_eq!(echoes(&format!("{either}f")).unwrap(), ["one?"]);
    // Neither the one before nor that one is certain, until another is.
    let script = format!("function f {{ echo zero; }}\n{either}f\nfunction f {{ echo two; }}\nf");
    assert_eq!(echoes(&script).unwrap(), ["zero?", "one?", "two"]);
    let script = format!("set a=b\n{either}f\necho $a");
    assert_eq!(echoes(&script).unwrap_err(), "a");
    let script = "for i in a; do function f { echo one; }; done\nf";
    assert_eq!(echoes(script).unwrap(), ["one?"]);
    // What a function defines that is called there.
    let script = "function g { function f { echo one; }; }\nif [ $x ]; then g; fi\nf";
    assert_eq!(echoes(script).unwrap(), ["one?"]);
    assert!(
        echoes(&either.repeat(20))
            .unwrap_err()
            .starts_with("too long")
    );
}

#[test]
fn no_function_stands_in_for_a_command() {
    let script = "function echo { set a=c; }\nset a=b\necho $a";
    assert_eq!(echoes(script).unwrap(), ["b"]);
}

#[test]
fn functions_have_arguments_of_their_own() {
    let script = "function f { echo $1 \"$2\" $3 $#; shift; echo $1; }\nset x='a b'\nf $x 'c d'\n";
    assert_eq!(echoes(script).unwrap(), ["a|b|c|d|3", "b"]);
    assert_eq!(
        echoes("setparams x 'y z'\necho \"$2\" $9 e").unwrap(),
        ["y z|e"]
    );
    // Unknown arguments, and those of no entry and no function.
    assert_eq!(echoes("function f { echo $1; }\nf $x").unwrap_err(), "1");
    assert_eq!(echoes("echo $1").unwrap_err(), "1");
    assert_eq!(echoes("function f { echo $0; }\nf a").unwrap_err(), "0");
}

#[test]
fn values_that_double_end_as_unknown_ones() {
    let script = format!("set a=x\n{}echo $a", "set a=\"$a$a\"\n".repeat(60));
    assert_eq!(echoes(&script).unwrap_err(), "a");
    let script = format!("set a={}\necho {}", "x".repeat(1 << 12), "$a ".repeat(5));
    assert_eq!(echoes(&script).unwrap_err(), "a");
    let many: String = (0..2000).map(|n| format!("set v{n}=x\n")).collect();
    assert_eq!(
        echoes(&format!("{many}echo $v1 $v1999")).unwrap_err(),
        "v1999"
    );
    let many: String = (0..2000)
        .map(|n| format!("function f{n} {{ x; }}\n"))
        .collect();
    assert!(echoes(&many).unwrap_err().starts_with("too long"));
}

#[test]
fn endless_calls_are_refused() {
    assert_eq!(echoes("function r { r; }\nr").unwrap_err(), "too long in 1");
    let mut script = String::from("function f0 { echo x; }\n");
    for n in 1..16 {
        let call = format!("f{}; ", n - 1).repeat(10);
        script.push_str(&format!("function f{n} {{ {call} }}\n"));
    }
    script.push_str("f15");
    assert!(echoes(&script).unwrap_err().starts_with("too long"));
}

#[test]
fn what_a_command_reads_from_elsewhere_is_unknown() {
    for command in [
        "load_env",
        "source $x/custom.cfg",
        "load_env -f /env a",
        "read a",
        "probe --set=a -u x",
        "regexp -s 1:a x y",
        "search --set a",
        "increment a",
        "eval 'set a=c'",
    ] {
        let script = format!("set a=b\n{command}\necho $a");
        assert_eq!(echoes(&script).unwrap_err(), "a", "{command}");
    }
    assert_eq!(echoes("set a=b\nload_env c\necho $a").unwrap(), ["b"]);
}
