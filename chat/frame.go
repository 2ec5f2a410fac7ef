package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"commsd/identity"
	"commsd/internal/wsconn"
)

// protocolVersion is what hello must name.
const protocolVersion = 1

// maxCursors bounds the conversations that one hello may name.
const maxCursors = 2000

// Cursor is how far a client has got in a conversation.
type Cursor struct {
	Seq     int64  `json:"seq"`
	EventID string `json:"event_id"`
}

// command is one message from a client: the union of all verbs' members.
// Members a verb does not know are ignored, so that clients may be newer.
type command struct {
	Type string `json:"type"`
	ID   int64  `json:"id"` // echoed in the answer
	size int    // of its line

	Protocol    int               `json:"protocol"`      // hello
	UserSeq     int64             `json:"user_seq"`      // hello
	UserEventID string            `json:"user_event_id"` // hello
	Cursors     map[string]Cursor `json:"cursors"`       // hello

	Conversation string          `json:"conversation"` // send, pull, read, typing, look
	ClientID     string          `json:"client_id"`    // send
	Body         json.RawMessage `json:"body"`         // send

	After  *int64 `json:"after"`  // pull, pull_person
	Before *int64 `json:"before"` // pull
	Limit  int    `json:"limit"`  // pull, pull_person
	Seq    int64  `json:"seq"`    // read
}

// check says what each verb demands; the table is the protocol.
var verbs = map[string]func(*command) bool{
	"hello": func(c *command) bool {
		if len(c.Cursors) > maxCursors || c.UserSeq < 0 {
			return false
		}
		for id, cur := range c.Cursors {
			if !isID(id) || cur.Seq < 0 {
				return false
			}
		}
		return true
	},
	"send": func(c *command) bool {
		return isID(c.Conversation) && isClientID(c.ClientID) && len(c.Body) > 0 && c.Body[0] == '{'
	},
	"pull": func(c *command) bool {
		if !isID(c.Conversation) || c.Limit < 0 || (c.After == nil) == (c.Before == nil) {
			return false
		}
		return (c.After == nil || *c.After >= 0) && (c.Before == nil || *c.Before >= 1)
	},
	"pull_person": func(c *command) bool { return c.After != nil && *c.After >= 0 && c.Limit >= 0 },
	"read":        func(c *command) bool { return isID(c.Conversation) && c.Seq >= 0 },
	"typing":      func(c *command) bool { return isID(c.Conversation) },
	"look":        func(c *command) bool { return c.Conversation == "" || isID(c.Conversation) },
	"ping":        func(*command) bool { return true },
}

// isID tells whether s is a UUID in its canonical form.
func isID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && len(s) == 36 && u.String() == s
}

// isClientID tells whether s is a canonical UUIDv7.
func isClientID(s string) bool {
	return isID(s) && s[14] == '7'
}

// decodeFrame splits a frame into its messages, one JSON object a line, or says
// for which numbered reason the socket must be closed. Messages before the
// faulty one are not returned: a frame is taken whole or not at all.
func decodeFrame(m wsconn.Message) ([]command, *wsconn.Closed) {
	if m.Binary {
		return nil, reasonBinary
	}
	if !utf8.Valid(m.Data) {
		return nil, reasonMalformed
	}
	var cmds []command
	// Many encoders end what they write with a newline.
	for line := range bytes.SplitSeq(bytes.TrimSuffix(m.Data, []byte{'\n'}), []byte{'\n'}) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] != '{' {
			return nil, reasonMalformed
		}
		cmd, err := decodeCommand(line)
		if err != nil {
			var bad *json.UnmarshalTypeError
			if errors.As(err, &bad) {
				return nil, reasonBadField
			}
			return nil, reasonMalformed
		}
		check, ok := verbs[cmd.Type]
		if !ok {
			return nil, reasonUnknownType
		}
		if cmd.ID < 0 || !check(&cmd) {
			return nil, reasonBadField
		}
		cmd.size = len(line)
		cmds = append(cmds, cmd)
	}
	return cmds, nil
}

func decodeCommand(line []byte) (command, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	var cmd command
	if err := dec.Decode(&cmd); err != nil {
		return cmd, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return cmd, errors.New("chat: more than one value in a line")
	}
	return cmd, nil
}

// ConversationEvent is one entry of a conversation's log, as it goes over the wire.
type ConversationEvent struct {
	Type         string            `json:"type" doc:"always event"`
	Conversation string            `json:"conversation"`
	Seq          int64             `json:"seq" doc:"1 for the first event, no gaps"`
	EventID      string            `json:"event_id"`
	Kind         string            `json:"kind" doc:"message, member.joined, member.left, conversation.renamed; ignore others"`
	Sender       identity.PersonID `json:"sender"`
	SenderName   string            `json:"sender_name" doc:"display name as it was then"`
	ClientID     string            `json:"client_id"`
	Body         json.RawMessage   `json:"body"`
	Count        int64             `json:"count" doc:"messages up to this event; unread is the head's count less the count of one's read mark"`
	At           time.Time         `json:"at"`
}

// PersonEvent is one entry of a person's log.
type PersonEvent struct {
	Type    string          `json:"type" doc:"always person_event"`
	Seq     int64           `json:"seq"`
	EventID string          `json:"event_id"`
	Kind    string          `json:"kind"`
	Body    json.RawMessage `json:"body"`
	At      time.Time       `json:"at"`
}

// The kinds of a conversation's log.
const (
	kindMessage = "message"
	kindJoined  = "member.joined"
	kindLeft    = "member.left"
	kindRenamed = "conversation.renamed"
)

// The kinds of a person's log that chat itself writes; others come by Notify.
const (
	kindConversationJoined = "conversation.joined"
	kindConversationLeft   = "conversation.left"
	kindRead               = "read"
)

// messageBody is the body of a message.
type messageBody struct {
	Text string `json:"text"`
}

// membersBody is the body of member.joined and member.left.
type membersBody struct {
	People []namedPerson `json:"people"`
}

type namedPerson struct {
	ID   identity.PersonID `json:"id"`
	Name string            `json:"name"`
}

// readBody is the body of read in a person's log.
type readBody struct {
	Conversation string `json:"conversation"`
	Seq          int64  `json:"seq"`
	Count        int64  `json:"count"`
}

// head is the newest event of a conversation, in welcome.
type head struct {
	Conversation string `json:"conversation"`
	Seq          int64  `json:"seq"`
	EventID      string `json:"event_id"`
	Count        int64  `json:"count"`
}

// headMsg tells of a head outside of welcome.
type headMsg struct {
	Type string `json:"type"` // head
	head
}

// conversationBody is the body of conversation.joined and conversation.left.
type conversationBody struct {
	Conversation string `json:"conversation"`
}

// The messages that the server sends beside ConversationEvent and PersonEvent.
type (
	welcomeMsg struct {
		Type        string            `json:"type"`
		ID          int64             `json:"id"`
		Protocol    int               `json:"protocol"`
		Person      identity.PersonID `json:"person"`
		UserSeq     int64             `json:"user_seq"`
		UserEventID string            `json:"user_event_id"`
		UserReload  bool              `json:"user_reload,omitempty"`
		Heads       []head            `json:"heads"`
		Reload      []string          `json:"reload,omitempty"`
		Gone        []string          `json:"gone,omitempty"`
		MaxText     int               `json:"max_text"`
		MaxWaiting  int               `json:"max_waiting"`
	}
	ackMsg struct {
		Type         string    `json:"type"`
		ID           int64     `json:"id"`
		Conversation string    `json:"conversation"`
		ClientID     string    `json:"client_id"`
		Seq          int64     `json:"seq"`
		EventID      string    `json:"event_id"`
		Count        int64     `json:"count"`
		At           time.Time `json:"at"`
	}
	eventsMsg struct {
		Type         string            `json:"type"`
		ID           int64             `json:"id"`
		Conversation string            `json:"conversation"`
		Head         int64             `json:"head"`
		Events       []json.RawMessage `json:"events"`
	}
	personEventsMsg struct {
		Type   string            `json:"type"`
		ID     int64             `json:"id"`
		Head   int64             `json:"head"`
		Events []json.RawMessage `json:"events"`
	}
	okMsg struct {
		Type string `json:"type"` // ok, pong
		ID   int64  `json:"id"`
	}
	errorMsg struct {
		Type         string `json:"type"`
		ID           int64  `json:"id"`
		Code         string `json:"code"`
		Detail       string `json:"detail"`
		RetryAfterMS int64  `json:"retry_after_ms,omitempty"`
	}
	typingMsg struct {
		Type         string            `json:"type"`
		Conversation string            `json:"conversation"`
		Person       identity.PersonID `json:"person"`
		Name         string            `json:"name"`
	}
	hintMsg struct {
		Type string          `json:"type"`
		Kind string          `json:"kind"`
		Body json.RawMessage `json:"body"`
	}
	laggingMsg struct {
		Type          string   `json:"type"`
		Conversations []string `json:"conversations"`
		Person        bool     `json:"person,omitempty"`
	}
	reloadMsg struct {
		Type         string `json:"type"` // reload
		Conversation string `json:"conversation"`
	}
	reconnectMsg struct {
		Type    string `json:"type"`
		AfterMS int64  `json:"after_ms"`
	}
)

// encode never fails on the types above; what it would say is kept for the log.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("chat: encode %T: %w", v, err)
	}
	return data, nil
}

// newID returns a UUIDv7. Only a broken random source makes NewV7 fail; a
// random id is then as good, but for the order.
func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id.String()
}
