//! Cells of a few commissions, each with its origins.

use super::*;
use TakenFrom::{Both, Denied, Owed};

/// Amount, decision (`p`, `a`, `d`) and origins of each commission; they are numbered from 1.
fn cell(shares: &[(i64, char, &[i64])]) -> Shares {
    let shares = shares.iter().zip(1..).map(|((amount, decided, origins), id)| Share {
        id: CommissionId(id),
        amount: Decimal(*amount),
        decided: match decided {
            'p' => Decided::Pending,
            'a' => Decided::Approved,
            _ => Decided::Denied,
        },
        origins: origins.iter().map(|origin| Origin::of(&origin.to_string())).collect(),
    });
    Shares::of(shares.collect())
}

/// Origins from 100 on are of new facts.
fn taken_from(shares: &[(i64, char, &[i64])], amount: i64, origins: &[i64]) -> TakenFrom {
    let is_new = origins.iter().all(|origin| *origin >= 100);
    let origins: Vec<Origin> = origins.iter().map(|origin| Origin::of(&origin.to_string())).collect();
    cell(shares).before(&origins, is_new).taken_from(Decimal(amount))
}

#[test]
fn what_takes_back_follows_what_it_belongs_to() {
    let two: &[(i64, char, &[i64])] = &[(10, 'd', &[1]), (10, 'a', &[2])];
    for (shares, amount, origins, expected) in [
        (&[] as &[(i64, char, &[i64])], 400, [1].as_slice(), Owed),
        (&[], -400, [1].as_slice(), Owed),
        (&[(400, 'a', &[1])], -400, [1].as_slice(), Owed),
        (&[(400, 'd', &[1])], -400, [1].as_slice(), Denied),
        (&[(400, 'd', &[1])], -100, [1].as_slice(), Denied),
        (&[(400, 'd', &[1])], 50, [1].as_slice(), Owed),
        // More than was denied.
        (&[(400, 'd', &[1])], -401, [1].as_slice(), Both),
        (&[(400, 'd', &[1]), (-300, 'd', &[1])], -101, [1].as_slice(), Both),
        // Of two sales in one cell each has its own.
        (two, -10, [1].as_slice(), Denied),
        (two, -10, [2].as_slice(), Owed),
        (two, -5, [1].as_slice(), Denied),
        // A sale that was denied in part: the latest is taken back first.
        (&[(10, 'd', &[1]), (5, 'a', &[1])], -5, [1].as_slice(), Owed),
        (&[(10, 'd', &[1]), (5, 'a', &[1])], -6, [1].as_slice(), Both),
        (&[(10, 'a', &[1]), (5, 'd', &[1])], -5, [1].as_slice(), Denied),
        (&[(10, 'a', &[1]), (5, 'd', &[1])], -6, [1].as_slice(), Both),
        (&[(10, 'd', &[1]), (5, 'a', &[1]), (-5, 'a', &[1])], -10, [1].as_slice(), Denied),
        // Both came at once, and were denied at once.
        (&[(20, 'd', &[1, 2]), (10, 'a', &[3])], -10, [1].as_slice(), Denied),
        (&[(20, 'd', &[1, 2]), (10, 'a', &[3]), (-10, 'd', &[1])], -10, [2].as_slice(), Denied),
        (&[(20, 'd', &[1, 2]), (10, 'a', &[3])], -10, [3].as_slice(), Owed),
        (&[(20, 'd', &[1, 2]), (5, 'a', &[1])], -5, [2].as_slice(), Both),
        // A new fact that earns less than nothing lessens what is owed, else what was denied.
        (two, -10, [100].as_slice(), Owed),
        (two, -11, [100].as_slice(), Both),
        // A refund or a revision of what is not known here could be of either.
        (two, -10, [3].as_slice(), Both),
        (&[(10, 'd', &[1])], -10, [2].as_slice(), Denied),
        (&[(10, 'd', &[1])], -11, [2].as_slice(), Both),
        // It takes back its own and more: of whose that is, is not known.
        (two, -15, [2].as_slice(), Both),
        (&[(10, 'a', &[1]), (10, 'a', &[2])], -15, [2].as_slice(), Owed),
        // No fact brought it: it takes from everything in the cell.
        (two, -2, [].as_slice(), Both),
        (&[(10, 'd', &[1]), (10, 'd', &[2])], -2, [].as_slice(), Denied),
        (&[(10, 'a', &[1]), (10, 'a', &[2])], -2, [].as_slice(), Owed),
        // What was denied and taken back is given again: it is as denied as it was.
        (&[(10, 'd', &[1]), (-10, 'd', &[1])], 10, [1].as_slice(), Denied),
        (&[(10, 'd', &[1]), (-10, 'd', &[1]), (6, 'd', &[1])], 4, [1].as_slice(), Denied),
        (&[(10, 'd', &[1]), (-4, 'd', &[1])], 5, [1].as_slice(), Both),
        (&[(10, 'd', &[1]), (-4, 'd', &[1])], 5, [2].as_slice(), Owed),
        (&[(10, 'a', &[1]), (-10, 'a', &[1])], 10, [1].as_slice(), Owed),
        (&[(20, 'd', &[1, 2]), (-10, 'd', &[1])], 10, [1].as_slice(), Both),
        // What takes back was denied although what it took back was not: a benefit, and no denial to follow.
        (&[(10, 'a', &[1]), (-4, 'd', &[1])], -6, [1].as_slice(), Owed),
    ] {
        assert_eq!(taken_from(shares, amount, origins), expected, "{shares:?} {amount} {origins:?}");
    }
}

#[test]
fn what_was_taken_back_is_not_denied_but_its_neighbour_is() {
    let cell = cell(&[(10, 'a', &[1]), (10, 'a', &[2]), (-10, 'a', &[1])]);
    let by = Some(CommissionId(3));
    assert_eq!(cell.deny(CommissionId(1)), Err(Contradiction::TakenBack { by, debt: Decimal(10) }));
    assert_eq!(cell.deny(CommissionId(2)), Ok(vec![]));
    assert_eq!(cell.deny(CommissionId(3)), Ok(vec![]), "nothing is taken from anybody by this");
    assert_eq!(cell.deny(CommissionId(9)), Ok(vec![]), "what was made by hand is in no cell");
}

#[test]
fn a_new_fact_that_took_from_all_keeps_all_from_being_denied() {
    let shares = cell(&[(10, 'a', &[1]), (10, 'a', &[2]), (-15, 'a', &[3])]);
    let refused = Err(Contradiction::TakenBack { by: Some(CommissionId(3)), debt: Decimal(5) });
    assert_eq!((shares.deny(CommissionId(1)), shares.deny(CommissionId(2))), (refused.clone(), refused));
    let shares = cell(&[(10, 'a', &[1]), (10, 'a', &[2]), (-10, 'a', &[3])]);
    assert_eq!(shares.deny(CommissionId(1)), Ok(vec![]), "as much is left");
}

#[test]
fn what_waits_to_take_back_is_denied_with_the_last_that_is_left() {
    let deny = |shares: &[(i64, char, &[i64])], id| cell(shares).deny(CommissionId(id));
    assert_eq!(deny(&[(10, 'p', &[1]), (10, 'p', &[2]), (-4, 'p', &[1])], 1), Ok(vec![CommissionId(3)]));
    assert_eq!(deny(&[(10, 'p', &[1]), (10, 'p', &[2]), (-4, 'p', &[1])], 2), Ok(vec![]));
    assert_eq!(deny(&[(10, 'p', &[1]), (5, 'p', &[1]), (-4, 'p', &[1])], 2), Ok(vec![]), "it may be of either");
    assert_eq!(deny(&[(10, 'd', &[1]), (5, 'p', &[1]), (-4, 'p', &[1])], 2), Ok(vec![CommissionId(3)]));
    assert_eq!(deny(&[(10, 'p', &[1]), (-12, 'p', &[1])], 1), Ok(vec![]), "it takes from others too");
}

#[test]
fn what_takes_back_what_was_denied_is_not_approved() {
    let cell = cell(&[(10, 'd', &[1]), (10, 'a', &[2]), (-4, 'd', &[1]), (-4, 'p', &[2])]);
    assert_eq!(cell.approve(CommissionId(3)), Err(Contradiction::CorrectsDenied { debt: Decimal(4) }));
    assert_eq!(cell.approve(CommissionId(4)), Ok(vec![]));
}

#[test]
fn what_was_denied_is_approved_with_what_takes_it_back() {
    let approve = |shares: &[(i64, char, &[i64])]| cell(shares).approve(CommissionId(1));
    let ids = |ids: &[i64]| Ok(ids.iter().map(|id| CommissionId(*id)).collect::<Vec<_>>());
    assert_eq!(approve(&[(10, 'd', &[1])]), ids(&[]));
    assert_eq!(approve(&[(10, 'd', &[1]), (-4, 'd', &[1])]), ids(&[2]));
    assert_eq!(approve(&[(10, 'd', &[1]), (-4, 'd', &[1]), (-3, 'd', &[1])]), ids(&[3, 2]));
    // Another's is left alone, and lends nothing.
    assert_eq!(approve(&[(10, 'd', &[1]), (10, 'd', &[2]), (-4, 'd', &[1])]), ids(&[3]));
    assert_eq!(approve(&[(10, 'd', &[1]), (10, 'd', &[2]), (-4, 'd', &[2])]), ids(&[]));
    // What is gone is gone.
    assert_eq!(approve(&[(10, 'd', &[1]), (-10, 'd', &[1])]), Err(Contradiction::GivenUp));
    assert_eq!(approve(&[(10, 'd', &[1]), (10, 'd', &[2]), (-10, 'd', &[1])]), Err(Contradiction::GivenUp));
    // As much as it was raised by is still denied: nothing needs to come with it.
    assert_eq!(approve(&[(10, 'd', &[1]), (5, 'd', &[1]), (-4, 'd', &[1])]), ids(&[]));
    // A new fact took from it.
    assert_eq!(approve(&[(10, 'd', &[1]), (-4, 'd', &[2])]), ids(&[2]));
    assert_eq!(approve(&[(10, 'd', &[1]), (-10, 'd', &[2])]), Err(Contradiction::GivenUp));
    // A benefit that was given elsewhere is no reason to refuse.
    assert_eq!(approve(&[(10, 'd', &[1]), (7, 'a', &[2]), (-7, 'd', &[2])]), ids(&[]));
}
