//! How many tokens of each prompt are read in one step, so that a long prompt holds nobody up.

use super::request::ClientId;

/// Tokens of prompts per step while nobody waits for the next token of a reply.
const ALONE: usize = 1024;
/// The same while replies go on: small, so that a step takes little longer than without a prompt.
const BESIDE: usize = 128;

/// How many pending tokens each row feeds in this step, given its client and how many are pending:
/// a single one always, since a reply waits for it; prompts as far as the step's share for them
/// goes. That is split evenly, first over the clients, then over each client's rows.
pub fn portions(rows: &[(&ClientId, usize)]) -> Vec<usize> {
    let replies = rows.iter().any(|(_, pending)| *pending == 1);
    let budget = if replies { BESIDE } else { ALONE };
    // Per client: its prompts' rows and their pending tokens.
    let mut clients: Vec<(&ClientId, Vec<usize>, Vec<usize>)> = Vec::new();
    for (row, &(client, pending)) in rows.iter().enumerate().filter(|(_, row)| row.1 > 1) {
        match clients.iter_mut().find(|(other, ..)| *other == client) {
            Some((_, rows, wanted)) => {
                rows.push(row);
                wanted.push(pending);
            }
            None => clients.push((client, vec![row], vec![pending])),
        }
    }
    let mut portions: Vec<usize> = rows.iter().map(|(_, pending)| *pending.min(&1)).collect();
    let wanted: Vec<usize> = clients.iter().map(|(.., wanted)| wanted.iter().sum()).collect();
    for ((_, rows, wanted), granted) in clients.iter().zip(shares(&wanted, budget)) {
        for (&row, share) in rows.iter().zip(shares(wanted, granted)) {
            portions[row] = share;
        }
    }
    portions
}

/// Splits `budget` evenly. What one doesn't want goes to the others; if there isn't one for each,
/// those who want least get it.
fn shares(wanted: &[usize], budget: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&index| wanted[index]);
    let mut shares = vec![0; wanted.len()];
    let mut left = budget;
    for (place, &index) in order.iter().enumerate() {
        let even = (left / (wanted.len() - place)).max(1);
        shares[index] = wanted[index].min(even).min(left);
        left -= shares[index];
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_gets_its_token_beside_any_prompt() {
        let one = ClientId::new("one");
        assert_eq!(portions(&[(&one, 1), (&one, 100_000), (&one, 1)]), [1, BESIDE, 1]);
        assert_eq!(portions(&[(&one, 100_000)]), [ALONE]);
        assert_eq!(portions(&[(&one, 5), (&one, 7)]), [5, 7]);
    }

    #[test]
    fn a_short_prompt_is_read_whole_beside_a_long_one() {
        let (one, other) = (ClientId::new("one"), ClientId::new("other"));
        assert_eq!(portions(&[(&one, 5000), (&one, 40), (&one, 1)]), [BESIDE - 40, 40, 1]);
        // Forty prompts of one client leave half of the step to another one's.
        let mut rows = vec![(&one, 300); 40];
        rows.push((&other, 300));
        rows.push((&other, 1));
        let portions = portions(&rows);
        assert_eq!(portions[40], BESIDE / 2);
        assert_eq!(portions[..40].iter().sum::<usize>(), BESIDE / 2);
    }

    proptest! {
        #[test]
        fn the_budget_is_used_up_and_never_exceeded(
            rows in prop::collection::vec((0_usize..4, 1_usize..400), 1..64),
        ) {
            let names: Vec<ClientId> =
                (0..4).map(|number| ClientId::new(&number.to_string())).collect();
            let rows: Vec<_> =
                rows.iter().map(|&(client, pending)| (&names[client], pending)).collect();
            let portions = portions(&rows);
            let replies = rows.iter().filter(|row| row.1 == 1).count();
            let budget = if replies > 0 { BESIDE } else { ALONE };
            let wanted: usize = rows.iter().map(|row| row.1).filter(|&pending| pending > 1).sum();
            let fed: usize = portions.iter().sum::<usize>() - replies;
            prop_assert_eq!(fed, wanted.min(budget));
            prop_assert!(portions.iter().zip(&rows).all(|(portion, row)| *portion <= row.1));
            prop_assert!(portions.iter().zip(&rows).all(|(portion, row)| row.1 > 1 || *portion == 1));
        }
    }
}
