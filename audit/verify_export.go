package audit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"commsd/internal/errcode"
)

// maxLine bounds a line of an export that is read.
const maxLine = 1 << 20

// ExportReport is what VerifyExport found in a sound export.
type ExportReport struct {
	Events     int64
	Erased     int64 // of them, those without their payload
	Complete   bool  // all events below the checkpoint's size
	Filter     map[string]string
	Checkpoint Checkpoint
}

// VerifyExport checks an export with nothing but the key of the log that it
// comes from. The error is errcode.Invalid and names the first line at fault.
func VerifyExport(r io.Reader, key note.Verifier) (*ExportReport, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	x := &exportReader{key: key, frontier: map[int64]tlog.Hash{}}
	n := 0
	for lines.Scan() {
		n++
		if err := x.line(lines.Bytes()); err != nil {
			return nil, errcode.Wrap(err, errcode.Invalid, "line %d: %s", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errcode.Wrap(err, errcode.Invalid, "line %d: %s", n+1, err)
	}
	if !x.ended {
		return nil, errcode.New(errcode.Invalid, "line %d: the export was cut off: its last line is missing", n+1)
	}
	return &x.report, nil
}

// exportReader reads one export.
type exportReader struct {
	key      note.Verifier
	report   ExportReport
	begun    bool
	ended    bool
	frontier map[int64]tlog.Hash // of a complete export: heads of the complete subtrees so far
}

func (x *exportReader) line(text []byte) error {
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	switch {
	case x.ended:
		return errors.New("there is more behind the last line")
	case !x.begun && kind.Type == lineHeader:
		x.begun = true
		return x.header(text)
	case !x.begun:
		return errors.New("the first line is no header")
	case kind.Type == lineEvent:
		var e exportEvent
		if err := strictly(text, &e); err != nil {
			return err
		}
		return x.event(&e)
	case kind.Type == lineEnd:
		x.ended = true
		return x.end(text)
	}
	return fmt.Errorf("unknown type %q", kind.Type)
}

func strictly(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

func (x *exportReader) header(text []byte) error {
	var h exportHeader
	if err := strictly(text, &h); err != nil {
		return err
	}
	if h.Format != exportFormat {
		return fmt.Errorf("unknown format %q", h.Format)
	}
	x.report.Complete, x.report.Filter = h.Complete, h.Filter
	if h.Checkpoint == "" {
		if h.Size != 0 {
			return errors.New("no checkpoint")
		}
		return nil
	}
	c, err := ParseCheckpoint([]byte(h.Checkpoint), x.key)
	if err != nil {
		return err
	}
	if c.Size != h.Size || c.Origin != h.Origin {
		return errors.New("the header and its checkpoint differ")
	}
	x.report.Checkpoint = c
	return nil
}

func (x *exportReader) event(e *exportEvent) error {
	hash, err := base64.StdEncoding.DecodeString(e.PayloadHash)
	if err != nil {
		return fmt.Errorf("payload_hash: %w", err)
	}
	r := record{id: e.ID, at: e.At, agency: e.Agency, owner: e.Owner, account: e.Account, person: e.Person, position: e.Position,
		action: e.Action, kind: e.ObjectKind, object: e.ObjectID, outcome: e.Outcome, payloadHash: hash}
	if e.Time.UnixMicro() != e.At {
		return fmt.Errorf("event %s: time and at differ", e.ID)
	}
	if e.Payload == nil {
		x.report.Erased++
	} else {
		salt, err := base64.StdEncoding.DecodeString(e.Payload.Salt)
		if err != nil {
			return fmt.Errorf("salt: %w", err)
		}
		p := payload{salt: salt, address: e.Payload.Address, detail: e.Payload.Detail}
		if !bytes.Equal(p.hash(), hash) {
			return fmt.Errorf("event %s: its payload is not the one that was recorded", e.ID)
		}
	}
	if x.report.Complete {
		return x.next(e, r.leaf())
	}
	proof := make(tlog.RecordProof, len(e.Proof))
	for i, text := range e.Proof {
		if proof[i], err = tlog.ParseHash(text); err != nil {
			return fmt.Errorf("event %s: its proof is malformed", e.ID)
		}
	}
	c := &x.report.Checkpoint
	if err := tlog.CheckRecord(proof, c.Size, c.Root, e.Seq, r.leaf()); err != nil {
		return fmt.Errorf("event %s: the signed tree does not hold it at leaf %d", e.ID, e.Seq)
	}
	x.report.Events++
	return nil
}

// next takes the next leaf of a complete export into the tree.
func (x *exportReader) next(e *exportEvent, leaf tlog.Hash) error {
	if e.Seq != x.report.Events {
		return fmt.Errorf("event %s is leaf %d, and leaf %d comes next", e.ID, e.Seq, x.report.Events)
	}
	fresh, err := tlog.StoredHashesForRecordHash(e.Seq, leaf, frontierReader(x.frontier, true))
	if err != nil {
		return err
	}
	x.frontier[tlog.StoredHashIndex(0, e.Seq)+int64(len(fresh)-1)] = fresh[len(fresh)-1]
	x.report.Events++
	return nil
}

// frontierReader reads the heads of the complete subtrees of a tree that only
// grows; consume forgets them, since the one that reads makes a larger one.
func frontierReader(frontier map[int64]tlog.Hash, consume bool) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, idx := range indexes {
			out[i] = frontier[idx]
			if consume {
				delete(frontier, idx)
			}
		}
		return out, nil
	})
}

func (x *exportReader) end(text []byte) error {
	var end exportEnd
	if err := strictly(text, &end); err != nil {
		return err
	}
	if end.Events != x.report.Events {
		return fmt.Errorf("%d events were exported, and %d are here", end.Events, x.report.Events)
	}
	c := &x.report.Checkpoint
	if !x.report.Complete || c.Size == 0 {
		return nil
	}
	if x.report.Events != c.Size {
		return fmt.Errorf("%d of %d events are here", x.report.Events, c.Size)
	}
	if root, err := tlog.TreeHash(c.Size, frontierReader(x.frontier, false)); err != nil || root != c.Root {
		return fmt.Errorf("the events are not those of the signed head of %d", c.Size)
	}
	return nil
}
