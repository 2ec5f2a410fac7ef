package housetest

import (
	"encoding/json"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	actionForm = regexp.MustCompile(`^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$`)
	actionRow  = regexp.MustCompile("(?m)^\\| `([a-z_]+\\.[a-z_]+)` \\|")
)

// recorders are the functions that take an action and have it in the audit log.
var recorders = map[string]bool{"record": true, "recordDenied": true, "Record": true, "Access": true, "permit": true, "permitted": true, "audited": true, "change": true, "refuse": true, "denied": true}

// TestAuditActionsAreExplained holds docs/audit.md, and the words of the
// auditors' page in both languages, to the actions that the code records.
func TestAuditActionsAreExplained(t *testing.T) {
	actions := map[string]string{} // action → a file that has it
	words := map[string]bool{}     // all words of the form; some become an action on their way
	add := func(name string, e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if word, err := strconv.Unquote(lit.Value); err == nil && actionForm.MatchString(word) {
				actions[word] = name
			}
		}
	}
	eachGoFile(t, func(name string, file *ast.File, test bool) {
		if test || strings.HasPrefix(name, "internal/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if word, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					words[word] = true
				}
			case *ast.ValueSpec: // constants of type identity.Action
				if s, ok := n.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Action" {
					for _, v := range n.Values {
						add(name, v)
					}
				}
			case *ast.KeyValueExpr: // audit.Event{Action: "…"}
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Action" {
					add(name, n.Value)
				}
			case *ast.CallExpr:
				if recorders[called(n)] {
					for _, arg := range n.Args {
						add(name, arg)
					}
				}
			}
			return true
		})
	})
	if len(actions) < 30 || actions["session.create"] == "" || actions["meeting.join"] == "" || actions["chat.add_members"] == "" {
		t.Fatalf("only %d actions were found: %v", len(actions), actions)
	}
	explained := map[string]bool{}
	for _, m := range actionRow.FindAllStringSubmatch(readFile(t, "../docs/audit.md"), -1) {
		explained[m[1]] = true
		if !words[m[1]] {
			t.Errorf("docs/audit.md explains %s, which nothing records", m[1])
		}
	}
	for action, name := range actions {
		if !explained[action] {
			t.Errorf("docs/audit.md does not explain %s, which %s records", action, name)
		}
	}
	for _, lang := range []string{"vi", "en"} {
		var texts struct {
			Action map[string]map[string]string `json:"action"`
		}
		text, err := os.ReadFile("../web/src/features/audit/locales/" + lang + ".json")
		if err == nil {
			err = json.Unmarshal(text, &texts)
		}
		if err != nil {
			t.Fatal(err)
		}
		for action := range actions {
			domain, verb, _ := strings.Cut(action, ".")
			if texts.Action[domain][verb] == "" {
				t.Errorf("the auditors' page has no words for %s in %s.json (action.%s)", action, lang, action)
			}
		}
	}
}

// called is the name of the function or method of a call.
func called(n *ast.CallExpr) string {
	switch f := n.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
