//! The words at the beginning of an entry of PostgreSQL's text logs, in the languages of the server's message catalogues.
//!
//! `LOG:  `, `ERROR:  ` and their like begin a row, `DETAIL:  `, `STATEMENT:  ` and theirs belong to the row before. Severities are
//! translated word by word, and the server adds a colon and two spaces; the others are translated with all that stands behind the word.
//! Source: `elog.c` and `src/backend/po` of PostgreSQL.

use crate::near;

/// How severe a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The server's own words, whatever they tell.
    Log,
    /// Debug, information, notice, warning: nothing failed.
    Warning,
    /// The statement failed.
    Error,
    /// The session or the server ended.
    Fatal,
}

/// What an entry is of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It begins one. `None`: in a language that is not known here.
    Row(Option<Level>),
    Detail,
    Hint,
    Query,
    Context,
    Location,
    Backtrace,
    Statement,
}

/// What stands between an entry's prefix and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    pub part: Part,
    /// Without colon and spaces.
    pub word: &'a [u8],
    /// With them.
    pub len: usize,
}

/// What the server writes behind a severity.
const COLON: &[u8] = b":  ";

/// No severity is longer, in any language.
const WORD_MAX: usize = 48;

/// The label that stands at the start, if its word is known.
pub(crate) fn label(text: &[u8]) -> Option<Label<'_>> {
    if text.first().is_none_or(|byte| !byte.is_ascii_uppercase() && byte.is_ascii()) {
        return None;
    }
    severity(text).or_else(|| entry(text))
}

/// The label that stands at the start, in a language that is not known here.
pub(crate) fn any_label(text: &[u8]) -> Option<Label<'_>> {
    let len = memchr::memchr(b':', &text[..text.len().min(WORD_MAX + 1)])?;
    let word = &text[..len];
    let is_word = !word.is_empty() && word.iter().all(|byte| *byte > b' ' && !byte.is_ascii_digit() && *byte != 0x7f);
    let is_loud = word.first().is_some_and(|byte| byte.is_ascii_uppercase() || !byte.is_ascii());
    (is_word && is_loud && text[len..].starts_with(COLON)).then_some(Label {
        part: Part::Row(None),
        word,
        len: len + COLON.len(),
    })
}

/// The level that a severity's word stands for.
pub(crate) fn level(word: &[u8]) -> Option<Level> {
    let found = |words: &[&str]| words.iter().any(|known| known.as_bytes() == word);
    match word {
        b"LOG" => Some(Level::Log),
        b"ERROR" => Some(Level::Error),
        _ if found(WARNING) => Some(Level::Warning),
        word if is_debug(word) => Some(Level::Warning),
        _ if found(LOG) => Some(Level::Log),
        _ if found(ERROR) => Some(Level::Error),
        _ if found(FATAL) => Some(Level::Fatal),
        _ => None,
    }
}

/// `DEBUG1` in csvlog, `DEBUG` elsewhere.
fn is_debug(word: &[u8]) -> bool {
    word.strip_prefix(b"DEBUG").is_some_and(|digit| digit.len() <= 1 && digit.iter().all(u8::is_ascii_digit))
}

fn severity(text: &[u8]) -> Option<Label<'_>> {
    let len = near::find(b':', &text[..text.len().min(WORD_MAX)])?;
    let word = &text[..len];
    if !near::begins(&text[len..], COLON) {
        return None;
    }
    level(word).map(|level| Label { part: Part::Row(Some(level)), word, len: len + COLON.len() })
}

fn entry(text: &[u8]) -> Option<Label<'_>> {
    let (part, words) = ENTRIES.iter().find_map(|(part, words)| {
        let found = words.iter().find(|words| text.starts_with(words.as_bytes()))?;
        Some((*part, *found))
    })?;
    let word = words.trim_ascii_end().trim_end_matches(':').trim_ascii_end();
    Some(Label { part, word: &text[..word.len()], len: words.len() })
}

/// What stands where the server knows no name.
pub(crate) fn is_unknown(name: &[u8]) -> bool {
    UNKNOWN.iter().any(|word| word.as_bytes() == name)
}

/// Takes ` at character 15` from the end of a message, and the number with it.
pub(crate) fn split_position(message: &[u8]) -> Option<(&[u8], i64)> {
    let last = message.last()?;
    AT_CHARACTER.iter().find_map(|(before, behind)| {
        // The last byte alone refuses most.
        if behind.as_bytes().last().map_or(!last.is_ascii_digit(), |byte| byte != last) {
            return None;
        }
        let text = message.strip_suffix(behind.as_bytes())?;
        let digits = text.iter().rev().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let (text, number) = text.split_at(text.len() - digits);
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some((text.strip_suffix(before.as_bytes())?, number))
    })
}

/// Length of the words before a logged statement.
pub(crate) fn before_statement(message: &[u8]) -> Option<usize> {
    STATEMENT.iter().find(|words| message.starts_with(words.as_bytes())).map(|words| words.len())
}

/// Whether a row of a session says that it ended.
pub(crate) fn is_disconnection(message: &[u8]) -> bool {
    DISCONNECTION.iter().any(|words| message.starts_with(words.as_bytes()))
}

const LOG: &[&str] = &["СООБЩЕНИЕ", "日志", "日誌", "로그", "DZIENNIK", "LOGG", "ЗАПИСУВАННЯ", "ჟურნალი"];

const WARNING: &[&str] = &[
    "WARNING",
    "NOTICE",
    "INFO",
    "WARNUNG",
    "HINWEIS",
    "ATTENTION",
    "NOTE",
    "ADVERTENCIA",
    "NOTICIA",
    "ATTENZIONE",
    "NOTIFICA",
    "AVISO",
    "NOTA",
    "DEPURAÇÃO",
    "ОТЛАДКА",
    "ИНФОРМАЦИЯ",
    "ЗАМЕЧАНИЕ",
    "ПРЕДУПРЕЖДЕНИЕ",
    "调试",
    "信息",
    "注意",
    "警告",
    "디버그",
    "정보",
    "알림",
    "경고",
    "OSTRZEŻENIE",
    "UWAGA",
    "VARNING",
    "NOTIS",
    "UYARI",
    "BİLGİ",
    "НАЛАГОДЖЕННЯ",
    "ІНФОРМАЦІЯ",
    "ПОПЕРЕДЖЕННЯ",
    "ПОВІДОМЛЕННЯ",
    "VAROVÁNÍ",
    "გამართვა",
    "ინფორმაცია",
    "გაფრთხილება",
];

const ERROR: &[&str] = &[
    "FEHLER",
    "ERREUR",
    "ERRORE",
    "ERRO",
    "ОШИБКА",
    "ПОМИЛКА",
    "错误",
    "오류",
    "BŁĄD",
    "FEL",
    "HATA",
    "CHYBA",
    "შეცდომა",
];

const FATAL: &[&str] = &[
    "FATAL",
    "PANIC",
    "PANIK",
    "FATALE",
    "PANICO",
    "PÂNICO",
    "ВАЖНО",
    "ПАНИКА",
    "ФАТАЛЬНО",
    "ПАНІКА",
    "致命错误",
    "比致命错误还过分的错误",
    "치명적오류",
    "손상",
    "FATALT",
    "ფატალური",
    "პანიკა",
];

const ENTRIES: &[(Part, &[&str])] = &[
    (
        Part::Detail,
        &[
            "DETAIL:  ",
            "DETALLE:  ",
            "DÉTAIL:  ",
            "DÉTAIL :  ",
            "DETTAGLI:  ",
            "DETALHE:  ",
            "詳細:  ",
            "ПОДРОБНОСТИ:  ",
            "ВІДОМОСТІ:  ",
            "详细信息:  ",
            "상세정보:  ",
            "DETALJ:  ",
            "დეტალები:  ",
        ],
    ),
    (
        Part::Hint,
        &[
            "HINT:  ",
            "TIPP:  ",
            "ASTUCE :  ",
            "SUGGERIMENTO:  ",
            "DICA:  ",
            "ヒント:  ",
            "ПОДСКАЗКА:  ",
            "УКАЗІВКА:  ",
            "提示:  ",
            "힌트:  ",
            "TIPS:  ",
            "მინიშნება:  ",
        ],
    ),
    (
        Part::Query,
        &[
            "QUERY:  ",
            "ANFRAGE:  ",
            "CONSULTA:  ",
            "REQUÊTE :  ",
            "問い合わせ:  ",
            "ЗАПРОС:  ",
            "ЗАПИТ:  ",
            "查询:  ",
            "쿼리:",
            "FRÅGA:  ",
            "მოთხოვნა:  ",
        ],
    ),
    (
        Part::Context,
        &[
            "CONTEXT:  ",
            "ZUSAMMENHANG:  ",
            "CONTEXTO:  ",
            "CONTEXTE :  ",
            "CONTESTO:  ",
            "文脈:  ",
            "КОНТЕКСТ:  ",
            "上下文:  ",
            "내용:  ",
            "KONTEXT:  ",
            "კონტექსტი:  ",
        ],
    ),
    (
        Part::Location,
        &[
            "LOCATION:  ",
            "ORT:  ",
            "UBICACIÓN:  ",
            "EMPLACEMENT :  ",
            "POSIZIONE:  ",
            "LOCAL:  ",
            "場所:  ",
            "ПОЛОЖЕНИЕ: ",
            "РОЗТАШУВАННЯ:  ",
            "位置:  ",
            "위치: ",
            "PLATS:  ",
            "მდებარეობა:   ",
        ],
    ),
    (
        Part::Backtrace,
        &[
            "BACKTRACE:  ",
            "PILE D'APPEL : ",
            "バックトレース:  ",
            "СТЕК:  ",
            "ВІДСТЕЖУВАТИ:  ",
            "역추적:  ",
            "სტეკი:  ",
        ],
    ),
    (
        Part::Statement,
        &[
            "STATEMENT:  ",
            "ANWEISUNG:  ",
            "SENTENCIA:  ",
            "INSTRUCTION :  ",
            "ISTRUZIONE:  ",
            "COMANDO:  ",
            "文:  ",
            "ОПЕРАТОР:  ",
            "ІНСТРУКЦІЯ:  ",
            "语句:  ",
            "명령 구문:  ",
            "SATS:  ",
            "ოპერატორი:  ",
        ],
    ),
];

const UNKNOWN: &[&str] = &[
    "[unknown]",
    "[unbekannt]",
    "[desconocido]",
    "[inconnu]",
    "[sconosciuto]",
    "[desconhecido]",
    "[不明]",
    "[н/д]",
    "[未知]",
    "[알수없음]",
    "[okänd]",
    "[უცნობი]",
];

/// Before a logged statement.
const STATEMENT: &[&str] = &[
    "statement: ",
    "Anweisung: ",
    "sentencia: ",
    "instruction : ",
    "istruzione: ",
    "文: ",
    "ოპერატორი: ",
    "명령 구문: ",
    "оператор: ",
    "sats: ",
    "语句: ",
];

/// At the beginning of the row that a session ended.
const DISCONNECTION: &[&str] = &[
    "disconnection: ",
    "Verbindungsende: Sitzungszeit: ",
    "desconexión: duración de sesión: ",
    "déconnexion : durée de la session : ",
    "disconnessione: tempo della sessione: ",
    "接続を切断: セッション時間: ",
    "연결종료: 세션 시간: ",
    "отключение: время сеанса: ",
    "nedkoppling: sessionstid: ",
    "відключення: час сеансу: ",
    "断开连接: 会话时间: ",
];

const AT_CHARACTER: &[(&str, &str)] = &[
    (" at character ", ""),
    (" bei Zeichen ", ""),
    (" en carácter ", ""),
    (" au caractère ", ""),
    (" al carattere ", ""),
    (" no caracter ", ""),
    ("(", "文字目)"),
    (" (символ ", ")"),
    (" символ ", ""),
    (" 第 ", " 个字符处"),
    (" ", " 번째 문자 부근"),
    (" vid tecken ", ""),
    (" სიმბოლოსთან ", ""),
];
