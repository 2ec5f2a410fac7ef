package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// Flags are the system flags of a message in one mailbox (RFC 9051, section
// 2.3.2), as they are stored.
type Flags int64

// The flags.
const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

func (f Flags) unseen() int64 {
	if f&Seen == 0 {
		return 1
	}
	return 0
}

func (f Flags) deleted() int64 {
	if f&Deleted != 0 {
		return 1
	}
	return 0
}

// FlagOp is what to do with flags.
type FlagOp int

// The operations.
const (
	FlagsSet FlagOp = iota
	FlagsAdd
	FlagsRemove
)

// maxKeywords bounds the keywords of one message.
const maxKeywords = 50

func joinKeywords(k []string) string {
	k = slices.Clone(k)
	slices.Sort(k)
	return strings.Join(slices.Compact(k), " ")
}

// CheckKeywords refuses keywords that cannot be kept.
func CheckKeywords(keywords []string) error {
	if len(keywords) > maxKeywords {
		return errcode.New(errcode.TooLarge, "a message has at most %d keywords", maxKeywords)
	}
	for _, k := range keywords {
		if k == "" || len(k) > 100 {
			return errcode.New(errcode.Invalid, "a keyword has 1 to 100 characters")
		}
		for i := range len(k) {
			if k[i] <= ' ' || k[i] >= 0x7f || strings.IndexByte(`(){%*"\]`, k[i]) >= 0 {
				return errcode.New(errcode.Invalid, "keyword %q is no atom", k)
			}
		}
	}
	return nil
}

func apply(op FlagOp, row Row, flags Flags, keywords []string) (Flags, []string, bool) {
	f, k := row.Flags, slices.Clone(row.Keywords)
	switch op {
	case FlagsSet:
		f, k = flags, slices.Clone(keywords)
	case FlagsAdd:
		f |= flags
		k = append(k, keywords...)
	case FlagsRemove:
		f &^= flags
		k = slices.DeleteFunc(k, func(have string) bool {
			return slices.ContainsFunc(keywords, func(w string) bool { return strings.EqualFold(w, have) })
		})
	}
	slices.Sort(k)
	k = slices.Compact(k)
	return f, k, f != row.Flags || !slices.Equal(k, row.Keywords)
}

// SetFlags changes flags of messages in a mailbox and returns all of those that
// are there, as they are afterwards; unchanged ones keep their modseq.
func (s *Store) SetFlags(ctx context.Context, box Mailbox, uids []uint32, op FlagOp, flags Flags, keywords []string) ([]Row, error) {
	if err := CheckKeywords(keywords); err != nil {
		return nil, err
	}
	var out []Row
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = s.setFlags(ctx, tx, box, uids, op, flags, keywords)
		return err
	})
	return out, err
}

func (s *Store) setFlags(ctx context.Context, tx *sqldb.Tx, box Mailbox, uids []uint32, op FlagOp, flags Flags, keywords []string) ([]Row, error) {
	modseq, owner, err := nextModseq(ctx, tx, box.Store)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf(ctx, tx, box.ID, uids)
	if err != nil {
		return nil, err
	}
	type value struct {
		flags    Flags
		keywords string
	}
	groups := map[value][]uint32{}
	var unseen, deleted int64
	for i := range rows {
		f, k, changed := apply(op, rows[i], flags, keywords)
		if len(k) > maxKeywords {
			return nil, errcode.New(errcode.TooLarge, "a message has at most %d keywords", maxKeywords)
		}
		if !changed {
			continue
		}
		unseen += f.unseen() - rows[i].Flags.unseen()
		deleted += f.deleted() - rows[i].Flags.deleted()
		rows[i].Flags, rows[i].Keywords, rows[i].ModSeq = f, k, modseq
		v := value{f, joinKeywords(k)}
		groups[v] = append(groups[v], rows[i].UID)
	}
	if len(groups) == 0 {
		return rows, nil
	}
	for v, uids := range groups {
		for part := range slices.Chunk(uids, chunk) {
			if _, err := tx.Exec(ctx, `UPDATE mail_mailbox_message SET flags = $1, keywords = $2, modseq = $3 WHERE mailbox_id = $4 AND uid IN (`+numbers(part)+`)`,
				int64(v.flags), v.keywords, modseq, box.ID); err != nil {
				return nil, fmt.Errorf("store: set flags: %w", err)
			}
		}
	}
	_, err = tx.Exec(ctx, `UPDATE mail_mailbox SET unseen = unseen + $1, deleted = deleted + $2, modseq = $3 WHERE id = $4`, unseen, deleted, modseq, box.ID)
	if err != nil {
		return nil, fmt.Errorf("store: count flags: %w", err)
	}
	s.announce(ctx, tx, Change{Store: box.Store, Owner: owner})
	return rows, nil
}

// chunk is how many UIDs one statement names.
const chunk = 500

// numbers writes UIDs for an IN list. They are numbers, so nothing can be
// smuggled into the statement.
func numbers(uids []uint32) string {
	var b strings.Builder
	for i, u := range uids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(u), 10))
	}
	return b.String()
}

func noRows(err, instead error, doing string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return instead
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}
