//! Tokens: whose socket something has happened to.

use mio::Token;

/// Whose socket a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of a slot's client.
    Client(usize),
    /// That of a slot's own origin.
    Origin(usize),
    /// That of a caller.
    Caller(usize),
    /// That of the origin that is asked for a caller.
    Asked(usize),
    /// A door's.
    Door(usize),
}

const KINDS: usize = 5;

/// The token by which a writer learns of letters.
pub(super) const LETTERS: Token = Token(usize::MAX);

/// The token by which a writer learns what time it is.
pub(super) const CLOCK: Token = Token(usize::MAX - 1);

/// The token of a slot's client.
pub(super) const fn client_token(slot: usize) -> Token {
    Token(slot * KINDS)
}

/// The token of a slot's own origin.
pub(super) const fn origin_token(slot: usize) -> Token {
    Token(slot * KINDS + 1)
}

/// The token of a caller.
pub(super) const fn caller_token(caller: usize) -> Token {
    Token(caller * KINDS + 2)
}

/// The token of the origin that is asked for a caller.
pub(super) const fn asked_token(caller: usize) -> Token {
    Token(caller * KINDS + 3)
}

/// The token of a door.
pub(super) const fn door_token(door: usize) -> Token {
    Token(door * KINDS + 4)
}

/// Whose socket a token is for; `None` for those of letters and of the clock.
pub(super) const fn of_token(token: Token) -> Option<Whose> {
    if token.0 >= CLOCK.0 {
        return None;
    }
    let number = token.0 / KINDS;
    Some(match token.0 % KINDS {
        0 => Whose::Client(number),
        1 => Whose::Origin(number),
        2 => Whose::Caller(number),
        3 => Whose::Asked(number),
        _ => Whose::Door(number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_socket_it_is() {
        assert_eq!(of_token(client_token(7)), Some(Whose::Client(7)));
        assert_eq!(of_token(origin_token(7)), Some(Whose::Origin(7)));
        assert_eq!(of_token(caller_token(7)), Some(Whose::Caller(7)));
        assert_eq!(of_token(asked_token(7)), Some(Whose::Asked(7)));
        assert_eq!(of_token(door_token(0)), Some(Whose::Door(0)));
        assert_eq!(of_token(LETTERS), None);
        assert_eq!(of_token(CLOCK), None);
    }
}
