//! Which entries are 20_linux_taoboot's, as the list says and as the kernel hook sees it.

use std::{fs, process::Command};

use super::{NEW, OLD, list, machine};
use crate::machine::{Machine, text};

/// The ids of the tboot entries that 20_linux_taoboot made: as `taoboot reseal` sees them, and as the
/// kernel hook's own function does.
fn own(machine: &Machine) -> [Vec<String>; 2] {
    let (list, _) = list(machine, &[]);
    let script = machine.path("etc/grub.d/20_linux_taoboot");
    let own = list.iter().filter(|entry| {
        entry["tboot"] == true && entry["script"].as_str() == Some(script.to_str().unwrap())
    });
    let reseal = own.map(|entry| entry["id"].as_str().unwrap().to_owned());
    let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/../grub.d/hooks/kernel");
    let hook = fs::read_to_string(hook).unwrap();
    let (_, function) = hook.split_once("\nentries() {\n").unwrap();
    let (function, _) = function.split_once("\n}\n").unwrap();
    let command = format!("say() {{ :; }}\nentries() {{\n{function}\n}}\nentries grub.cfg\n");
    let output = Command::new("sh")
        .args(["-euc", &command])
        .env("sysconf", machine.path("etc"))
        .current_dir(machine.directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let hook = text(&output.stdout);
    [reseal.collect(), hook.lines().map(str::to_owned).collect()]
}

#[test]
fn an_entry_is_the_scripts_that_wrote_it_whatever_its_id_is() {
    let Some(machine) = machine() else { return };
    let print = |printed: &str| {
        let program = format!("#!/bin/sh\ncat <<'PRINTED'\n{printed}\nPRINTED\n");
        machine.program("etc/grub.d/30_os-prober", &program);
        machine.mkconfig();
        own(&machine)
    };
    // What os-prober makes of LPARAMS="x ;}" and more behind it.
    let entry = "menuentry 'Other' $menuentry_id_option 'osprober-1' {\n\tlinux /vmlinuz x ;}\n\
                 menuentry 'Mine' $menuentry_id_option 'taoboot-tboot-mine' {\n\
                 \tmultiboot2 /tboot.gz logging=serial,memory\n\
                 \tmodule2 /vmlinuz-6.1.0-10-amd64 root=/dev/sda1 single\n\
                 \tmodule2 /initrd-taoboot-6.1.0-10-amd64\n}";
    let both = vec![NEW.to_owned(), OLD.to_owned()];
    assert_eq!(print(entry), [both.clone(), both.clone()]);
    let (entries, _) = list(&machine, &[]);
    let mine = entries
        .iter()
        .find(|entry| entry["id"] == "taoboot-tboot-mine");
    let mine = mine.unwrap();
    assert!(mine["prediction"].is_object(), "{mine}");
    assert!(
        mine["script"].as_str().unwrap().ends_with("/30_os-prober"),
        "{mine}"
    );
    // The lines around a script's output, written by a stranger: then nothing is believed.
    let directory = machine.path("etc/grub.d");
    let line =
        |word: &str, script: &str| format!("### {word} {}/{script} ###", directory.display());
    let (begin, end) = (
        line("BEGIN", "20_linux_taoboot"),
        line("END", "20_linux_taoboot"),
    );
    let (close, reopen) = (line("END", "30_os-prober"), line("BEGIN", "30_os-prober"));
    let none = [Vec::<String>::new(), Vec::new()];
    assert_eq!(print(&format!("{begin}\n{entry}\n{end}")), none);
    let forged = format!("{close}\n{begin}\n{entry}\n{end}\n{reopen}");
    assert_eq!(print(&forged), none);
    // Neither where 20_linux_taoboot itself made nothing.
    fs::remove_file(machine.path("etc/grub.d/20_linux_taoboot")).unwrap();
    assert_eq!(print(&forged), none);
}

#[test]
fn another_scripts_function_loads_nothing_for_our_entry() {
    let Some(machine) = machine() else { return };
    machine.program(
        "etc/grub.d/30_os-prober",
        "#!/bin/sh\necho \"function module2 { module \\$1 single; }\nfunction gfxmode { module2 /vmlinuz-6.1.0-10-amd64 single; }\"\n",
    );
    machine.mkconfig();
    let both = vec![NEW.to_owned(), OLD.to_owned()];
    assert_eq!(own(&machine), [both.clone(), both.clone()]);
    // An entry that calls a function which others may define is not the script's alone.
    let config = fs::read_to_string(machine.path("grub.cfg")).unwrap();
    let calling = config.replacen(
        "\techo\t'Loading SINIT",
        "\tgfxmode\n\techo\t'Loading SINIT",
        1,
    );
    let calling = match calling == config {
        true => config.replacen(
            "\techo\t'Loading the taoboot image",
            "\tgfxmode\n\techo\t'Loading the taoboot image",
            1,
        ),
        false => calling,
    };
    assert_ne!(calling, config);
    machine.write("grub.cfg", &calling);
    let [reseal, _] = own(&machine);
    assert_eq!(reseal, [OLD]);
}
