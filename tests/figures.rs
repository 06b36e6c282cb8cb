//! The arithmetic of `make bench`: medians, exponents, verdicts, and how the table is written. Nothing is timed here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that meets the unexpected shall end loudly"
)]

#[path = "../benches/figures/mod.rs"]
#[allow(dead_code, reason = "the benches use the rest")]
mod figures;

mod comparison {
    use crate::figures::comparison::{Better, Compared, Verdict};

    fn compared(better: Better, again: &[f64], now: &[f64]) -> Verdict {
        let compared = Compared {
            name: "plan".to_owned(),
            unit: "/s",
            better,
            base: vec![100.0; now.len()],
            again: again.to_vec(),
            now: now.to_vec(),
        };
        compared.verdict()
    }

    #[test]
    fn a_change_is_told_where_all_rounds_agree_beyond_the_noise() {
        let quiet = [101.0, 99.0, 102.0];
        assert_eq!(
            compared(Better::More, &quiet, &[110.0, 108.0, 112.0]),
            Verdict::Better
        );
        assert_eq!(
            compared(Better::Less, &quiet, &[110.0, 108.0, 112.0]),
            Verdict::Worse
        );
        assert_eq!(
            compared(Better::More, &quiet, &[90.0, 91.0, 92.0]),
            Verdict::Worse
        );
        assert_eq!(
            compared(Better::Less, &quiet, &[90.0, 91.0, 92.0]),
            Verdict::Better
        );
    }

    #[test]
    fn one_round_on_the_other_side_makes_it_the_same() {
        let quiet = [101.0, 99.0, 102.0];
        assert_eq!(
            compared(Better::More, &quiet, &[110.0, 99.5, 112.0]),
            Verdict::Same
        );
    }

    #[test]
    fn what_the_base_differs_from_itself_is_no_change() {
        let loud = [89.0, 99.0, 101.0];
        assert_eq!(
            compared(Better::More, &loud, &[110.0, 108.0, 112.0]),
            Verdict::Same
        );
        assert_eq!(
            compared(Better::More, &loud, &[120.0, 118.0, 122.0]),
            Verdict::Better
        );
    }

    #[test]
    fn a_round_in_which_the_base_did_as_well_makes_it_the_same() {
        let lucky = [111.0, 100.0, 100.0];
        let now = [110.0, 130.0, 131.0];
        assert_eq!(compared(Better::More, &lucky, &now), Verdict::Same);
        assert_eq!(
            compared(Better::More, &[109.0, 100.0, 100.0], &now),
            Verdict::Better
        );
    }

    #[test]
    fn what_is_no_number_is_no_change() {
        assert_eq!(compared(Better::Less, &[100.0], &[f64::NAN]), Verdict::Same);
        assert_eq!(compared(Better::Less, &[], &[]), Verdict::Same);
    }
}

mod goals {
    use crate::figures::Row;
    use crate::figures::goals::Goal::{AtLeast, AtMost, BeyondAtMost, ShareAtLeast, ShareAtMost};
    use crate::figures::goals::{GOALS, of};

    #[test]
    fn a_goal_is_held_against_the_median_of_paired_rounds() {
        // The machine halved its speed in the last two rounds: the shares stay.
        let row = Row::new("plan", "/s", vec![70.0, 68.0, 72.0, 35.0, 36.0]);
        let row = row.beside("nginx", vec![100.0, 100.0, 100.0, 50.0, 50.0]);
        assert!(ShareAtLeast(0.7).is_met(&row));
        assert!(!ShareAtLeast(0.71).is_met(&row));
        assert!(BeyondAtMost(-28.0).is_met(&row));
        assert!(AtLeast(68.0).is_met(&row) && AtMost(68.0).is_met(&row));
        assert!(!AtLeast(69.0).is_met(&row) && !AtMost(67.0).is_met(&row));
    }

    #[test]
    fn a_share_without_a_yardstick_meets_no_goal() {
        let row = Row::new("plan", "/s", vec![70.0]);
        assert!(!ShareAtLeast(0.0).is_met(&row) && !ShareAtMost(9.0).is_met(&row));
    }

    #[test]
    fn every_row_has_one_goal() {
        for (place, goal) in GOALS.iter().enumerate() {
            let same = GOALS
                .iter()
                .position(|other| (other.0, other.1) == (goal.0, goal.1));
            assert_eq!(same, Some(place), "{} / {}", goal.0, goal.1);
        }
        assert_eq!(of("growth", "anything"), Some(AtMost(1.1)));
        assert_eq!(of("reads", "unheard of"), None);
    }
}

mod lines {
    use crate::figures::goals::Goal;
    use crate::figures::lines::row;

    #[test]
    fn a_line_of_the_footprint_is_a_row() {
        let line = "idle memory (resident)     23.4 MB  median of 11; goal 25 MB or less";
        let row = row(line).expect("a row");
        assert_eq!(
            (row.name.as_str(), row.unit.as_str()),
            ("idle memory (resident)", "MB")
        );
        assert_eq!(row.values, [23.4]);
        assert_eq!(row.goal, Some(Goal::AtMost(25.0)));
        assert_eq!(row.remark, "median of 11; goal 25 MB or less");
    }

    #[test]
    fn a_line_without_a_goal_or_a_figure_is_told_apart() {
        let size = row("binary size                38.1 MB  (simulator and demo included)").expect("a row");
        assert_eq!(size.goal, None);
        assert!(
            row("").is_none() && row("what follows is measured").is_none() && row("12 of them").is_none()
        );
        assert!(row("target/release/emgate (with demo, with manual)").is_none());
    }

    #[test]
    fn a_number_in_a_name_is_no_figure() {
        let line =
            "memory with 5000 streams   91.5 MB, the whole process; goal 100 MB or less; 12.5 KiB for each";
        let streams = row(line).expect("a row");
        assert_eq!(
            (streams.name.as_str(), streams.unit.as_str()),
            ("memory with 5000 streams", "MB")
        );
        assert_eq!(
            (streams.values.as_slice(), streams.goal),
            (&[91.5][..], Some(Goal::AtMost(100.0)))
        );
        let passing = row("1.0 GB of answers pass  31.5 MB after a tenth").expect("a row");
        assert_eq!(passing.name, "1.0 GB of answers pass");
    }
}

mod machine {
    use crate::figures::machine::{version, version_behind};

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, wanted) in [
            ("rustc 1.94.0 (4a4ef493e 2026-03-02)", "1.94.0"),
            ("nginx version: nginx/1.22.1", "1.22.1"),
            ("envoy  version: 5a1b/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", "15.14"),
            ("go version go1.19.8 linux/amd64", "1.19.8"),
            ("v18.20.4", "18.20.4"),
        ] {
            assert_eq!(version(said).as_deref(), Some(wanted), "{said}");
        }
        assert_eq!(version("command not found"), None);
    }

    #[test]
    fn a_library_that_others_depend_on_has_its_own_version() {
        let lock = "dependencies = [\n \"hyper\",\n]\nname = \"tower\"\nversion = \"0.5.3\"\n\n\
                    name = \"hyper-util\"\nversion = \"0.1.21\"\n\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        let found = |name: &str| version_behind(lock, &format!("name = \"{name}\""));
        assert_eq!(found("hyper").as_deref(), Some("1.12.0"));
        assert_eq!(found("quick-xml"), None);
        assert_eq!(
            version_behind("xmltodict==1.0.2 lxml==6.0.2", "lxml==").as_deref(),
            Some("6.0.2")
        );
    }
}

mod statistics {
    use crate::figures::statistics::{Spread, exponent, percentile};

    #[test]
    fn a_median_is_the_middle_of_odd_and_between_the_two_of_even_numbers() {
        let spread = Spread::of(&[9.0, 1.0, 4.0]);
        let wanted = Spread {
            least: 1.0,
            median: 4.0,
            most: 9.0,
        };
        assert_eq!(spread, wanted);
        assert_eq!(Spread::of(&[4.0, 1.0, 9.0, 2.0]).median, 3.0);
        assert_eq!(Spread::of(&[7.0]).median, 7.0);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<f64> = (0..=1000).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.5), 500.0);
        assert_eq!(percentile(&sorted, 0.999), 999.0);
        assert_eq!(percentile(&sorted, 1.0), 1000.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn an_exponent_tells_constant_linear_and_square_growth_apart() {
        let growth = |cost: fn(f64) -> f64| exponent(&[1.0, 10.0, 100.0].map(|work| (work, cost(work))));
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-9;
        assert!(near(growth(|_| 3.0), 0.0));
        assert!(near(growth(|work| 0.2 * work), 1.0));
        assert!(near(growth(|work| 5.0 * work * work), 2.0));
        // What costs the same at first and then grows is between.
        let late = growth(|work| 10.0 + work);
        assert!(late > 0.2 && late < 0.8, "{late}");
    }
}

mod text {
    use crate::figures::comparison::{Better, Compared};
    use crate::figures::text::{comparison, number, table};
    use crate::figures::{Figures, Group, Row};

    fn figures(rows: Vec<Row>) -> Figures {
        let mut rows = rows;
        for row in &mut rows {
            "reads".clone_into(&mut row.group);
        }
        let group = Group {
            name: "reads".to_owned(),
            about: "answers a second".to_owned(),
        };
        Figures {
            groups: vec![group],
            rows,
            ..Figures::default()
        }
    }

    #[test]
    fn a_row_says_its_median_yardstick_share_and_goal() {
        let plan = Row::new("plan", "/s", vec![21_000.0, 20_000.0, 23_500.0]);
        let plan = plan.beside("nginx", vec![30_000.0, 32_000.0, 31_000.0]);
        let text = table(&[figures(vec![plan])]);
        let line = text
            .lines()
            .find(|line| line.starts_with("  plan  "))
            .expect("a row");
        for part in [
            "21,000 (20,000 to 23,500) /s",
            "nginx 31,000",
            "0.700 (0.625 to 0.758)",
            "0.600 or more: met",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn a_goal_that_nothing_was_measured_for_is_said() {
        let text = table(&[figures(Vec::new())]);
        assert!(text.contains("reads: answers a second"), "{text}");
        assert!(
            text.contains("NOT MEASURED") && text.contains("50 operations"),
            "{text}"
        );
        assert!(!text.contains("beside Envoy"), "a group that did not run: {text}");
    }

    #[test]
    fn numbers_have_three_digits_and_thousands_apart() {
        let texts = [0.0, 0.51, 1.0, 12.34, 99.96, 1_234_567.8, -1_234.0, f64::NAN].map(number);
        assert_eq!(
            texts,
            [
                "0.000",
                "0.510",
                "1.00",
                "12.3",
                "100",
                "1,234,568",
                "-1,234",
                "?"
            ]
        );
    }

    #[test]
    fn a_comparison_says_both_the_ratio_and_the_verdict() {
        let row = Compared {
            name: "plan".to_owned(),
            unit: "us",
            better: Better::Less,
            base: vec![30.0, 31.0, 30.0],
            again: vec![30.1, 30.9, 30.0],
            now: vec![20.0, 21.0, 20.0],
        };
        let text = comparison(&[row]);
        assert!(
            text.contains("30.0 us") && text.contains("20.0 us") && text.ends_with("better"),
            "{text}"
        );
    }
}
