package password

import (
	"fmt"
	"unicode/utf8"
)

// Policy is what a new password must be. There are no rules of composition:
// length is what counts, and that nobody guesses it first.
type Policy struct {
	Alone      int // runes at least where a password is all that is asked for
	WithFactor int // where a second factor is asked for too
}

// Reasons why a new password is refused; stable words for pages.
const (
	ReasonShort   = "too_short"
	ReasonLong    = "too_long"
	ReasonCommon  = "common"  // among those that everybody tries first
	ReasonContext = "context" // made of the person's or the agency's names
	ReasonPattern = "pattern" // repeats or counts
	ReasonSame    = "same"    // the one that is to be replaced
)

// Refusal is why a new password is not taken.
type Refusal struct {
	Reason string
	Min    int    // of ReasonShort
	Word   string // of ReasonContext: what it is made of
}

// Error says it in words for a person.
func (r *Refusal) Error() string {
	switch r.Reason {
	case ReasonShort:
		return fmt.Sprintf("the password needs at least %d characters; a sentence of several words is easy to keep in mind", r.Min)
	case ReasonLong:
		return fmt.Sprintf("the password is longer than %d bytes", MaxBytes)
	case ReasonCommon:
		return "this password is among those that are tried first; choose one that only you would think of"
	case ReasonContext:
		return fmt.Sprintf("the password is little more than %q, which others know of you; add words that nobody would expect", r.Word)
	case ReasonPattern:
		return "the password only repeats or counts; choose words that do not follow from each other"
	default:
		return "the new password is the old one; choose another"
	}
}

// Check answers a *Refusal for a password that is not to be taken. words are
// those that an attacker knows of its owner: login, names, agency.
func (p Policy) Check(typed string, secondFactor bool, words []string) error {
	least := p.Alone
	if secondFactor {
		least = p.WithFactor
	}
	switch {
	case utf8.RuneCountInString(typed) < least:
		return &Refusal{Reason: ReasonShort, Min: least}
	case len(typed) > MaxBytes:
		return &Refusal{Reason: ReasonLong}
	}
	return nil
}
