package chat

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"commsd/internal/httpapi"
)

const document = "../docs/protocols/chat.md"

// Each type of message, each member, each kind, code and number of the code
// stands in the protocol's document.
func TestDocumentIsWhole(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	wants := func(what, s string) {
		t.Helper()
		if !strings.Contains(doc, s) {
			t.Errorf("%s does not have %s %s", document, what, s)
		}
	}
	for verb := range verbs {
		wants("the command", "\n### "+verb+"\n")
	}
	source := parse(t)
	for name, kind := range source.types {
		if !strings.Contains(doc, "\n### "+kind) && !strings.Contains(doc, "\n### "+map[string]string{
			"person_events": "events, person_events", "pong": "ok, pong"}[kind]+" ") {
			t.Errorf("%s has no heading for %s, which %s sends", document, kind, name)
		}
	}
	for _, kind := range source.kinds {
		wants("the kind", "`"+kind+"`")
	}
	for _, code := range errorCodes {
		wants("the error code", "| `"+code+"` |")
	}
	for name, r := range source.reasons {
		wants("the reason "+name, "| "+r.code+" | "+r.words)
	}
	for _, v := range []any{
		command{}, Cursor{}, ConversationEvent{}, PersonEvent{}, messageBody{}, membersBody{}, namedPerson{}, readBody{}, head{},
		headMsg{}, conversationBody{}, welcomeMsg{}, ackMsg{}, eventsMsg{}, personEventsMsg{}, okMsg{}, errorMsg{}, typingMsg{}, hintMsg{},
		laggingMsg{}, reloadMsg{}, reconnectMsg{},
	} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			member, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if member != "" && !strings.Contains(doc, "`"+member+"`") && !strings.Contains(doc, `"`+member+`"`) {
				t.Errorf("%s does not have the member %s of %s", document, member, typ.Name())
			}
		}
	}
	if len(source.types) < 15 || len(source.reasons) < 13 || len(source.kinds) < 7 {
		t.Errorf("only %d types, %d reasons and %d kinds were found in the code", len(source.types), len(source.reasons), len(source.kinds))
	}
	api := httpapi.New(httpapi.Config{})
	new(Service).Routes(api)
	for path, item := range api.Huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil {
				wants("the route", "| `"+method+"` | `"+path+"` |")
			}
		}
	}
	var limits Config
	limits.setDefaults()
	for what, n := range map[string]int64{
		"bytes": int64(limits.MaxText), "| `chat.max_members` |": int64(limits.MaxMembers), "a second, " + strconv.Itoa(limits.SendBurst): int64(limits.SendRate),
		"KiB | `chat.queue_bytes` |": int64(limits.Socket.QueueBytes >> 10), "s | `chat.drain_spread` |": int64(limits.DrainSpread.Seconds()),
		"KiB | |": limits.Socket.ReadLimit >> 10, "| |": int64(limits.MaxCommands), "| | ": maxCursors, "characters": maxTitle,
		"MiB": int64(limits.MaxCommandBytes >> 20), "| `chat.max_sockets` |": int64(limits.MaxSockets),
	} {
		wants("the limit", "| "+grouped(n)+" "+strings.TrimSpace(what))
	}
	wants("the limit", fmt.Sprintf("The first message, within %v s", limits.HelloWithin.Seconds()))
	// And what the document calls a number or a command is one.
	for line := range strings.Lines(doc) {
		if code, ok := strings.CutPrefix(line, "| 4"); ok && len(code) > 3 {
			if !source.hasCode("4" + code[:3]) {
				t.Errorf("%s has a line for 4%s, which the code has not", document, code[:3])
			}
		}
	}
	commands, _, _ := strings.Cut(doc[strings.Index(doc, "## Commands of the client"):], "## Messages of the server")
	for line := range strings.Lines(commands) {
		if verb, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok && verbs[verb] == nil {
			t.Errorf("%s has the command %s, which the code has not", document, verb)
		}
	}
}

// grouped writes 16384 as 16,384.
func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

type found struct {
	types   map[string]string // where a message's Type is set → what to
	kinds   []string
	reasons map[string]reason
}

type reason struct{ code, words string }

func (f found) hasCode(code string) bool {
	for _, r := range f.reasons {
		if r.code == code {
			return true
		}
	}
	return false
}

// parse finds in the package's source what it puts on the wire.
func parse(t *testing.T) found {
	t.Helper()
	f := found{types: map[string]string{}, reasons: map[string]reason{}}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if s, ok := field(n, "Type"); ok {
					f.types[fset.Position(n.Pos()).String()] = s
				}
			case *ast.ValueSpec:
				if len(n.Names) != 1 || len(n.Values) != 1 {
					return true
				}
				value := n.Values[0]
				if u, ok := value.(*ast.UnaryExpr); ok {
					value = u.X
				}
				switch v := value.(type) {
				case *ast.BasicLit:
					if strings.HasPrefix(n.Names[0].Name, "kind") && v.Kind == token.STRING {
						f.kinds = append(f.kinds, unquote(v))
					}
				case *ast.CompositeLit:
					if strings.HasPrefix(n.Names[0].Name, "reason") {
						code, _ := field(v, "Code")
						words, _ := field(v, "Reason")
						f.reasons[n.Names[0].Name] = reason{code, words}
					}
				}
			}
			return true
		})
	}
	return f
}

// field returns the basic literal that a composite literal sets a field to.
func field(lit *ast.CompositeLit, name string) (string, bool) {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isIdent := kv.Key.(*ast.Ident)
		value, isBasic := kv.Value.(*ast.BasicLit)
		if isIdent && isBasic && key.Name == name {
			return unquote(value), true
		}
	}
	return "", false
}

func unquote(lit *ast.BasicLit) string {
	if s, err := strconv.Unquote(lit.Value); err == nil {
		return s
	}
	return lit.Value
}
