package chat

import (
	"bytes"
	"encoding/json"
	"testing"

	"commsd/internal/wsconn"
)

// FuzzDecodeFrame: whatever a client sends is commands that are each legal, or
// one of the numbered reasons.
func FuzzDecodeFrame(f *testing.F) {
	const conv = "0198c0de-0000-7000-8000-000000000001"
	for _, s := range []string{
		"", "{}", "[]", "null", "{", "\n", "{}\n{}", "\xff", `{"type":"ping"}` + "\n", `{"type":"ping"} {"type":"ping"}`,
		`{"type":"hello","id":1,"protocol":1,"user_seq":3,"user_event_id":"x","cursors":{"` + conv + `":{"seq":7,"event_id":"` + conv + `"}}}`,
		`{"type":"send","id":2,"conversation":"` + conv + `","client_id":"` + conv + `","body":{"text":"Chào"}}`,
		`{"type":"pull","id":3,"conversation":"` + conv + `","after":0,"limit":10}`,
		`{"type":"pull","id":3,"conversation":"` + conv + `","before":9}`,
		`{"type":"pull_person","id":4,"after":0}`,
		`{"type":"read","id":5,"conversation":"` + conv + `","seq":9223372036854775807}`,
		`{"type":"typing","conversation":"` + conv + `"}` + "\n" + `{"type":"look"}`,
		`{"type":"look","conversation":null}`, `{"TYPE":"ping"}`, `{"type":"ping","id":1e3}`, `{"type":"ping","id":92233720368547758070}`,
		`{"type":"send","conversation":"` + conv + `","client_id":"` + conv + `","body":{"text":"\ud800\u0000"}}`,
	} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(`{"type":"ping"}`), true)
	known := map[*wsconn.Closed]bool{reasonMalformed: true, reasonUnknownType: true, reasonBinary: true, reasonBadField: true}
	f.Fuzz(func(t *testing.T, data []byte, binary bool) {
		cmds, bad := decodeFrame(wsconn.Message{Binary: binary, Data: data})
		switch {
		case bad != nil && (!known[bad] || cmds != nil):
			t.Fatalf("%q: reason %v, %d commands", data, bad, len(cmds))
		case bad == nil && len(cmds) != bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))+1:
			t.Fatalf("%q: %d commands", data, len(cmds))
		}
		for _, c := range cmds {
			if check := verbs[c.Type]; check == nil || !check(&c) || c.ID < 0 {
				t.Fatalf("%q passed as %+v", data, c)
			}
			if c.Type == "send" && !json.Valid(c.Body) {
				t.Fatalf("body %q", c.Body)
			}
			if c.Type == "send" && (!isClientID(c.ClientID) || !isID(c.Conversation)) {
				t.Fatalf("ids %q %q", c.ClientID, c.Conversation)
			}
		}
	})
}

// FuzzCheckText: what passes is stored by both engines and comes back as it was.
func FuzzCheckText(f *testing.F) {
	s := &Service{cfg: Config{MaxText: 64}}
	for _, body := range []string{`{"text":"Chào"}`, `{"text":"\u0000"}`, `{"text":"\ud800"}`, `{"text":7}`, `{"text":" \r\n"}`, `{}`, `{"text":"a\r\nb\tc"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := s.checkText(body)
		if err != nil {
			return
		}
		if len(text) > 64 || bytes.IndexByte([]byte(text), 0) >= 0 {
			t.Fatalf("%q passed", text)
		}
		data, err := encode(messageBody{Text: text})
		var back messageBody
		if err != nil || json.Unmarshal(data, &back) != nil || back.Text != text {
			t.Fatalf("%q becomes %s", text, data)
		}
	})
}
