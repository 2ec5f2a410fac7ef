package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// kindForm is "domain.what", so that kinds of other domains never clash with
// chat's own.
var kindForm = regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)

// Notify appends an event to the log of each person and pushes it to their
// open pages; pages opened later pull it. kind is "domain.what"; body is
// encoded as JSON, an object. Nobody is notified when it returns an error.
func (s *Service) Notify(ctx context.Context, to []identity.PersonID, kind string, body any) error {
	raw, err := s.checkKind(kind, body)
	if err != nil {
		return err
	}
	people := slices.Clone(to)
	slices.Sort(people)
	people = slices.Compact(people)
	if len(people) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		packets, err := s.notifyTx(ctx, tx, people, kind, raw)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.hub.announcePeople(packets) })
		return nil
	})
}

// notifyTx appends to the logs of people, who are sorted.
func (s *Service) notifyTx(ctx context.Context, tx *sqldb.Tx, people []identity.PersonID, kind string, raw json.RawMessage) ([]personPacket, error) {
	packets := make([]personPacket, 0, len(people))
	for _, p := range people {
		e, err := appendPerson(ctx, tx, personDraft{person: p, kind: kind, body: raw, at: s.now()})
		if err != nil {
			return nil, err
		}
		packets = append(packets, personPacket{Person: p, Event: e})
	}
	return packets, nil
}

// Hint pushes to the open pages of people that something has changed; it is
// kept nowhere. kind and body are as for Notify. A hint that cannot be made is
// logged: nothing depends on it.
func (s *Service) Hint(_ context.Context, to []identity.PersonID, kind string, body any) {
	raw, err := s.checkKind(kind, body)
	if err != nil {
		s.log.Error("hint not sent", "err", err)
		return
	}
	hp := hintPacket{To: to, Hint: hintMsg{Type: "hint", Kind: kind, Body: raw}}
	s.hub.showHint(hp)
	s.hub.publish(packet{Hint: &hp})
}

func (s *Service) checkKind(kind string, body any) (json.RawMessage, error) {
	if !kindForm.MatchString(kind) || kind == kindConversationJoined || kind == kindConversationLeft {
		return nil, fmt.Errorf("chat: %q is no kind for others to use", kind)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("chat: body of %s: %w", kind, err)
	}
	if len(raw) == 0 || raw[0] != '{' {
		return nil, fmt.Errorf("chat: body of %s is no object", kind)
	}
	return raw, nil
}
