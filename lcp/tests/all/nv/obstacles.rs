//! Why a plan cannot be done, and what the owner should know.

use lcp::nv::{self, IndexSet, NvError, OwnerState, Role, Step, Wish};
use tpm::{family::Family, nv::NvAttributes, swtpm::Swtpm};
use zeroize::Zeroizing;

use crate::nv::machine::{Machine, launch_policy, owner, policy};

const SET: IndexSet = IndexSet::Set1;

#[test]
fn what_firmware_defined_is_named_and_left_alone() {
    let swtpm = Swtpm::start().unwrap();
    let platform = NvAttributes::PP_WRITE
        | NvAttributes::AUTH_READ
        | NvAttributes::NO_DA
        | NvAttributes::PLATFORM_CREATE;
    let number = Role::OwnerPolicy.index(Family::Tpm20, SET);
    swtpm
        .define_platform_index(number, platform, &[1; 70])
        .unwrap();
    swtpm.set_owner_password("ownerpw").unwrap();
    let machine = Machine {
        swtpm,
        family: Family::Tpm20,
    };
    let mut storage = machine.open();
    let plan = nv::Plan::make(storage.as_mut(), machine.wishes(1)).unwrap();
    assert!(!plan.is_possible() && !plan.is_done());
    let obstacle = &plan.indices[0].obstacles[0];
    assert!(
        obstacle.contains("ppwrite") && obstacle.contains("tboot ignores"),
        "{obstacle}"
    );
    // The others could be written, but half a policy is worse than none.
    let error = nv::apply(storage.as_mut(), &plan, &owner(), &mut |_| panic!()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("NV index 0x1c10106: the platform"),
        "{error}"
    );
    assert_eq!(storage.list().unwrap(), [number]);
}

#[test]
fn a_wrong_password_tells_the_tries_left_and_stops() {
    let wrong = nv::Owner::password(Zeroizing::new(b"wrong".to_vec()));
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        let mut storage = machine.open();
        let before = storage.list().unwrap();
        let plan = nv::Plan::make(storage.as_mut(), machine.wishes(1)).unwrap();
        assert!(plan.needs_password());
        let error = nv::apply(storage.as_mut(), &plan, &wrong, &mut |_| panic!()).unwrap_err();
        let NvError::WrongPassword {
            tries: Some(tries),
            counted,
        } = error
        else {
            panic!("{error}");
        };
        // A TPM 2.0 exempts the owner's password, a TPM 1.2 counts it.
        assert_eq!(counted, family == Family::Tpm12);
        assert_eq!(tries.counted, u32::from(counted));
        assert_eq!(tries.left(), tries.max - tries.counted);
        let sentence = error_text(tries.left());
        assert!(error.to_string().contains(&sentence), "{error}");
        assert_eq!(storage.list().unwrap(), before);
    }
}

fn error_text(left: u32) -> String {
    format!("the owner's password is wrong; {left} tries are left before the lockout")
}

#[test]
fn the_lockout_of_a_tpm_1_2_is_an_obstacle_and_nothing_is_tried() {
    let machine = Machine::new(Family::Tpm12);
    let mut storage = machine.open();
    let plan = nv::Plan::make(storage.as_mut(), machine.wishes(1)).unwrap();
    let wrong = nv::Owner::password(Zeroizing::new(b"wrong".to_vec()));
    let locked = loop {
        match nv::apply(storage.as_mut(), &plan, &wrong, &mut |_| Ok(())).unwrap_err() {
            NvError::WrongPassword { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(locked, NvError::LockedOut), "{locked}");
    let plan = nv::Plan::make(storage.as_mut(), machine.wishes(1)).unwrap();
    assert!(
        plan.obstacles[0].contains("takes no password now"),
        "{plan:?}"
    );
    let error = nv::apply(storage.as_mut(), &plan, &owner(), &mut |_| panic!()).unwrap_err();
    assert!(matches!(error, NvError::Refused(_)), "{error}");
}

#[test]
fn the_lockout_of_a_tpm_2_0_is_told_and_does_not_stop_the_owner() {
    let swtpm = Swtpm::start().unwrap();
    swtpm.set_max_tries(2).unwrap();
    for _ in 0..2 {
        swtpm.fail_once(0x0100_0001).unwrap();
    }
    let machine = Machine {
        swtpm,
        family: Family::Tpm20,
    };
    let plan = machine.plan(machine.wishes(1));
    assert!(plan.is_possible() && !plan.needs_password());
    assert!(
        plan.warnings[0].contains("lockout is active (2 of 2"),
        "{plan:?}"
    );
    assert_eq!(plan.state.owner, OwnerState::NoPassword);
    let mut storage = machine.open();
    nv::apply(
        storage.as_mut(),
        &plan,
        &nv::Owner::well_known(),
        &mut |_| Ok(()),
    )
    .unwrap();
    drop(storage);
    assert!(machine.plan(machine.wishes(1)).is_done());
}

#[test]
fn a_tpm_1_2_without_owner_or_without_nv_lock_is_told() {
    let swtpm = Swtpm::start_tpm12(None).unwrap();
    let machine = Machine {
        swtpm,
        family: Family::Tpm12,
    };
    let plan = machine.plan(machine.wishes(1));
    assert!(plan.obstacles[0].contains("no owner"), "{plan:?}");
    assert!(plan.warnings[0].contains("nvLocked"), "{plan:?}");
    assert!(machine.open().lock_storage().unwrap());
    assert!(!machine.open().lock_storage().unwrap());
    assert_eq!(machine.plan(machine.wishes(1)).warnings, [""; 0]);
}

#[test]
fn other_attributes_and_a_lock_need_a_new_definition() {
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        let mut other = machine.wishes(1).remove(0);
        // WRITEDEFINE has the same bit in both.
        other.definition.attributes |= 0x2000;
        machine.apply(vec![other]);
        let plan = machine.plan(machine.wishes(1));
        assert_eq!(
            plan.indices[0].steps,
            [Step::Release, Step::Define, Step::Write]
        );
        assert!(
            plan.indices[0].reasons[0].contains("attributes"),
            "{plan:?}"
        );
        machine.apply(machine.wishes(1));
        assert!(machine.plan(machine.wishes(1)).is_done());
    }
}

#[test]
fn an_index_that_can_be_locked_is_locked_and_then_replaced() {
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        let mut lockable = machine.wishes(1).remove(0);
        lockable.definition.attributes |= 0x2000;
        let number = lockable.definition.number;
        machine.apply(vec![lockable.clone()]);
        let mut storage = machine.open();
        let index = storage.index(number).unwrap().unwrap();
        assert!(!index.write_locked);
        let wrong = nv::Owner::password(Zeroizing::new(b"wrong".to_vec()));
        let error = storage.lock_index(&index, &wrong).unwrap_err();
        assert!(matches!(error, NvError::WrongPassword { .. }), "{error}");
        storage.lock_index(&index, &owner()).unwrap();
        assert!(storage.index(number).unwrap().unwrap().write_locked);
        drop(storage);
        // The same definition with other data: only a new definition opens it again.
        lockable.data = Some(policy(family, 2, [0; 8]));
        let plan = machine.plan(vec![lockable.clone()]);
        assert_eq!(
            plan.indices[0].steps,
            [Step::Release, Step::Define, Step::Write]
        );
        assert!(plan.indices[0].reasons[1].contains("locked"), "{plan:?}");
        machine.apply(vec![lockable]);
    }
}

#[test]
fn a_new_policy_of_the_same_size_is_just_written() {
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        machine.apply(machine.wishes(1));
        let plan = machine.plan(machine.wishes(2));
        let steps: Vec<_> = plan
            .indices
            .iter()
            .map(|index| index.steps.clone())
            .collect();
        assert_eq!(steps, [vec![Step::Write], vec![], vec![]]);
    }
}

#[test]
fn revocation_counters_that_go_back_are_warned_of() {
    for family in [Family::Tpm20, Family::Tpm12] {
        let machine = Machine::new(family);
        let with = |counters| {
            let file = policy(family, 1, counters);
            vec![Wish::owner_policy(family, SET, &file).unwrap()]
        };
        machine.apply(with([0, 5, 0, 0, 0, 0, 0, 0]));
        let plan = machine.plan(with([0, 4, 0, 0, 0, 0, 0, 0]));
        let warning = &plan.indices[0].warnings[0];
        assert!(
            warning.contains("list 1 goes back from 5 to 4"),
            "{warning}"
        );
        let plan = machine.plan(with([1, 5, 0, 0, 0, 0, 0, 0]));
        assert_eq!(plan.indices[0].warnings, [""; 0]);
    }
}

#[test]
fn files_in_the_wrong_place_are_refused() {
    let refused = |wish: Result<Wish, NvError>| match wish {
        Err(NvError::Refused(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    let policy12 = policy(Family::Tpm12, 1, [0; 8]);
    let policy20 = policy(Family::Tpm20, 1, [0; 8]);
    let to = |family, file: &[u8]| refused(Wish::owner_policy(family, SET, file));
    assert!(to(Family::Tpm20, &policy12).contains("TPM 1.2"));
    assert!(to(Family::Tpm12, &policy20).contains("TPM 2.0"));
    assert!(to(Family::Tpm20, &launch_policy()).contains("no launch control policy"));
    assert!(to(Family::Tpm20, &policy20[..69]).contains("no launch control policy"));
    assert!(to(Family::Tpm20, b"Intel(R) TXT LCP_POLICY_DATA\0\0\0\0").contains("GRUB"));
    let vlp = |file: &[u8]| refused(Wish::launch_policy(Family::Tpm20, SET, file));
    assert!(vlp(&policy20).contains("--policy"));
    assert!(vlp(&[]).contains("is empty"));
    assert!(vlp(&launch_policy()[..11]).contains("12 bytes"));
    let mut long = launch_policy();
    long.resize(2125, 0);
    assert!(vlp(&long).contains("2124"));
}
