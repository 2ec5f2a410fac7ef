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

	List *List // further passwords to refuse; may be nil
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
// those that an attacker knows of its owner: login, names, agency; folded as
// fold.Words folds.
func (p Policy) Check(typed string, secondFactor bool, words []string) error {
	least, need := p.Alone, float64(needAlone)
	if secondFactor {
		least, need = p.WithFactor, needWithFactor
	}
	switch {
	case utf8.RuneCountInString(typed) < least:
		return &Refusal{Reason: ReasonShort, Min: least}
	case len(typed) > MaxBytes:
		return &Refusal{Reason: ReasonLong}
	case p.List.holds(typed):
		return &Refusal{Reason: ReasonCommon}
	}
	common, err := ranks()
	if err != nil {
		return err
	}
	context := map[string]struct{}{}
	for _, w := range words {
		if len(w) >= 2 {
			context[w] = struct{}{}
		}
	}
	g := estimate(typed, func(piece string) (int, bool) { rank, ok := common[piece]; return rank, ok }, context)
	switch {
	case g.bits >= need:
		return nil
	case g.context != "" && len(g.context) >= 3:
		return &Refusal{Reason: ReasonContext, Word: g.context}
	case g.pattern:
		return &Refusal{Reason: ReasonPattern}
	default:
		return &Refusal{Reason: ReasonCommon}
	}
}
