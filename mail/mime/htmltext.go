package mime

import (
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// HTMLText returns the words of an HTML document, at most limit bytes, for
// previews, search and answers. It is no rendering and no cleaning.
func HTMLText(r io.Reader, limit int) string {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(1 << 20)
	var b strings.Builder
	skip := 0
	for b.Len() < limit {
		switch z.Next() {
		case html.CommentToken, html.DoctypeToken:
		case html.ErrorToken:
			return strings.TrimSpace(b.String())
		case html.TextToken:
			if skip == 0 {
				b.WriteString(strings.Join(strings.Fields(string(z.Text())), " "))
				b.WriteByte(' ')
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			switch a := atom.Lookup(name); a {
			case atom.Script, atom.Style, atom.Title, atom.Template:
				skip++
			default:
				if block(a) {
					b.WriteByte('\n')
				}
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch a := atom.Lookup(name); a {
			case atom.Script, atom.Style, atom.Title, atom.Template:
				skip = max(0, skip-1)
			default:
				if block(a) {
					b.WriteByte('\n')
				}
			}
		case html.SelfClosingTagToken:
			if name, _ := z.TagName(); atom.Lookup(name) == atom.Br {
				b.WriteByte('\n')
			}
		}
	}
	return strings.TrimSpace(shorten(b.String(), limit))
}

func block(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Br, atom.Tr, atom.Li, atom.H1, atom.H2, atom.H3, atom.H4, atom.Blockquote, atom.Table, atom.Hr, atom.Pre:
		return true
	default:
		return false
	}
}
