use proptest::prelude::*;

use super::*;

/// What can happen to a watermark.
#[derive(Debug, Clone)]
enum Step {
    Assign(u8),
    Mark,
    /// Acknowledges one of the records assigned so far, by a position from 0 to 1 among them.
    Acknowledge(f64),
    /// Acknowledges a run from the oldest record in flight on.
    AcknowledgeOldest(u8),
    Release,
}

/// The same behaviour in its plainest form: one flag a record.
#[derive(Default)]
struct Model {
    acknowledged: Vec<bool>,
    marks: VecDeque<(usize, usize)>,
    put: usize,
    replaced: Vec<usize>,
}

impl Model {
    fn prefix(&self) -> usize {
        self.acknowledged.iter().take_while(|done| **done).count()
    }

    fn mark(&mut self) {
        let here = self.acknowledged.len();
        if self
            .marks
            .iter()
            .rev()
            .take(2)
            .filter(|(boundary, _)| *boundary == here)
            .count()
            == 2
        {
            let (_, replaced) = self.marks.pop_back().unwrap();
            self.replaced.push(replaced);
        }
        self.marks.push_back((here, self.put));
        self.put += 1;
    }

    fn release(&mut self) -> Option<usize> {
        let (boundary, _) = *self.marks.front()?;
        (self.prefix() >= boundary).then(|| self.marks.pop_front().unwrap().1)
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u8..100).prop_map(Step::Assign),
        3 => Just(Step::Mark),
        8 => (0.0..1.0).prop_map(Step::Acknowledge),
        3 => (1_u8..100).prop_map(Step::AcknowledgeOldest),
        3 => Just(Step::Release),
    ];
    proptest::collection::vec(step, 0..200)
}

fn acknowledge(
    watermark: &mut Watermark<usize>,
    model: &mut Model,
    number: usize,
) -> Result<(), TestCaseError> {
    let expected = match model.acknowledged.get(number) {
        None => Acknowledged::Unknown,
        Some(true) => Acknowledged::Duplicate,
        Some(false) => Acknowledged::New,
    };
    prop_assert_eq!(watermark.acknowledge(Sequence(number as u64)), expected);
    if let Some(done) = model.acknowledged.get_mut(number) {
        *done = true;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn behaves_as_the_plain_model(steps in steps()) {
        let mut watermark = Watermark::new();
        let mut model = Model::default();
        let mut released = Vec::new();
        for step in steps {
            match step {
                Step::Assign(count) => for _ in 0..count {
                    prop_assert_eq!(watermark.assign(), Sequence(model.acknowledged.len() as u64));
                    model.acknowledged.push(false);
                },
                Step::Mark => {
                    watermark.mark(model.put);
                    model.mark();
                }
                Step::Acknowledge(position) => {
                    // Sometimes one past the end, which was never assigned.
                    let number = (position * (model.acknowledged.len() + 1) as f64) as usize;
                    acknowledge(&mut watermark, &mut model, number)?;
                }
                Step::AcknowledgeOldest(count) => for _ in 0..count {
                    let Some(Sequence(oldest)) = watermark.oldest_unacknowledged() else { break };
                    acknowledge(&mut watermark, &mut model, oldest as usize)?;
                },
                Step::Release => {
                    let mark = watermark.release();
                    prop_assert_eq!(mark, model.release());
                    released.extend(mark);
                }
            }
            let flying = model.acknowledged.iter().filter(|done| !**done).count();
            let prefix = model.prefix();
            prop_assert_eq!(watermark.in_flight(), flying);
            prop_assert_eq!(watermark.span(), (model.acknowledged.len() - prefix) as u64);
            prop_assert_eq!(
                watermark.oldest_unacknowledged(),
                (prefix < model.acknowledged.len()).then_some(Sequence(prefix as u64)),
            );
            prop_assert_eq!(watermark.held_marks(), model.marks.len());
            prop_assert_eq!(watermark.is_idle(), flying == 0 && model.marks.is_empty());
        }

        for number in 0..model.acknowledged.len() {
            acknowledge(&mut watermark, &mut model, number)?;
        }
        released.extend(std::iter::from_fn(|| watermark.release()));
        let kept: Vec<_> = (0..model.put).filter(|mark| !model.replaced.contains(mark)).collect();
        prop_assert_eq!(released, kept, "lost or reordered");
        prop_assert!(watermark.is_idle());
        prop_assert!(watermark.acknowledged.len() <= 1, "memory is kept");
    }

    #[test]
    fn releases_nothing_before_the_last_record_in_any_order(
        order in Just((0..150_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut watermark = Watermark::new();
        for _ in 0..150 {
            watermark.assign();
        }
        watermark.mark(());
        for number in order {
            prop_assert_eq!(watermark.release(), None);
            watermark.acknowledge(Sequence(number));
        }
        prop_assert_eq!(watermark.release(), Some(()));
    }
}

#[test]
fn releases_marks_before_the_first_record_at_once() {
    let mut watermark = Watermark::new();
    watermark.mark(1);
    watermark.mark(2);
    assert!(!watermark.is_idle());
    watermark.assign();
    watermark.mark(3);
    assert_eq!(watermark.release(), Some(1));
    assert_eq!(watermark.release(), Some(2));
    assert_eq!(watermark.release(), None);
}

#[test]
fn transactions_without_records_take_no_memory_while_one_record_waits() {
    let mut watermark = Watermark::new();
    let stuck = watermark.assign();
    for transaction in 0..1_000_000 {
        watermark.mark(transaction);
    }
    assert_eq!(watermark.held_marks(), 2);
    watermark.acknowledge(stuck);
    assert_eq!(watermark.release(), Some(0));
    assert_eq!(watermark.release(), Some(999_999));
    assert!(watermark.is_idle());
}

#[test]
fn memory_follows_the_span_in_flight() {
    let mut watermark = Watermark::<()>::new();
    for _ in 0..1_000_000 {
        let sequence = watermark.assign();
        watermark.acknowledge(sequence);
        assert!(watermark.acknowledged.len() <= 1);
    }
    let oldest = watermark.assign();
    for _ in 0..6_400 {
        let sequence = watermark.assign();
        watermark.acknowledge(sequence);
    }
    assert!(
        watermark.acknowledged.len() <= 102,
        "{} words",
        watermark.acknowledged.len()
    );
    watermark.acknowledge(oldest);
    assert!(watermark.acknowledged.len() <= 1);
}

#[test]
fn moves_marks_that_cannot_be_copied_and_drops_what_it_holds() {
    struct Token(std::rc::Rc<std::cell::Cell<u32>>);
    impl Drop for Token {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = std::rc::Rc::new(std::cell::Cell::new(0));
    let mut watermark = Watermark::new();
    watermark.mark(Token(std::rc::Rc::clone(&dropped)));
    watermark.assign();
    watermark.mark(Token(std::rc::Rc::clone(&dropped)));

    let token = watermark.release().expect("nothing is before it");
    assert!(watermark.release().is_none());
    assert_eq!(dropped.get(), 0);
    drop(watermark);
    assert_eq!(dropped.get(), 1, "only the held one");
    drop(token);
}
