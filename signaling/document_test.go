package signaling_test

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	lk "commsd/internal/lkproto"
)

// The document speaks of every message there is.
func TestEveryMessageIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/protocols/meeting.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(data)
	_, fromClient, ok := strings.Cut(document, "(SignalRequest)")
	if !ok {
		t.Fatal("no section of the client's messages")
	}
	fromClient, fromServer, ok := strings.Cut(fromClient, "(SignalResponse)")
	if !ok {
		t.Fatal("no section of the server's messages")
	}
	for _, c := range []struct {
		message protoreflect.ProtoMessage
		text    string
	}{{&lk.SignalRequest{}, fromClient}, {&lk.SignalResponse{}, fromServer}} {
		fields := c.message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if name := string(fields.Get(i).Name()); !strings.Contains(c.text, "`"+name+"`") {
				t.Errorf("%T.%s is not documented", c.message, name)
			}
		}
	}
	reasons := lk.DisconnectReason_UNKNOWN_REASON.Descriptor().Values()
	for i := range reasons.Len() {
		name := string(reasons.Get(i).Name())
		if name == "UNKNOWN_REASON" || name == "ROOM_CLOSED" { // never sent
			continue
		}
		if !strings.Contains(fromServer, "`"+name+"`") {
			t.Errorf("the reason %s is not documented", name)
		}
	}
}
