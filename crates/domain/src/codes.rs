//! The codes of countries (ISO 3166-1 alpha-2) and languages (ISO 639-1), as two tables. Currencies are in `money`.
//!
//! Leaves to others whether a dialect insists on them. Invariant: each table is sorted and holds no code twice.

/// All 249 officially assigned codes of countries.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET \
    FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ \
    IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML \
    MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS \
    PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL \
    TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// All 183 codes of languages.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de \
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is \
    it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na \
    nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr \
    ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// The code of a country in upper case, from either case; `None` where it is not assigned.
pub fn country(text: &str) -> Option<String> {
    let code = text.to_ascii_uppercase();
    COUNTRIES.split_ascii_whitespace().any(|known| known == code).then_some(code)
}

/// The code of a language in lower case, from either case; `None` where there is none.
pub fn language(text: &str) -> Option<String> {
    let code = text.to_ascii_lowercase();
    LANGUAGES.split_ascii_whitespace().any(|known| known == code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole_and_sorted() {
        for (table, count) in [(COUNTRIES, 249), (LANGUAGES, 183)] {
            let codes: Vec<_> = table.split_ascii_whitespace().collect();
            assert!(codes.is_sorted_by(|a, b| a < b), "sorted, none twice");
            assert!(codes.iter().all(|code| code.len() == 2));
            assert_eq!(codes.len(), count);
        }
    }

    #[test]
    fn codes_are_read_in_either_case() {
        assert_eq!(country("pt").as_deref(), Some("PT"));
        assert_eq!(language("EN").as_deref(), Some("en"));
        for text in ["", "XX", "UK", "PRT", " PT", "PT AD"] {
            assert_eq!(country(text), None, "{text:?}");
        }
        assert_eq!(language("xx"), None);
    }
}
