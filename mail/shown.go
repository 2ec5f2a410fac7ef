package mail

import (
	"io"
	"net/http"
	"strings"

	"commsd/internal/httpapi"
	"commsd/mail/store"
)

// shownStyle is how a message looks that says nothing of its own: on white
// paper, whatever the page's colours are, and never wider than its frame.
const shownStyle = `html{color-scheme:light;background:#fff}
body{margin:0;padding:16px;font:14px/1.5 "Be Vietnam Pro","Segoe UI",Roboto,"Noto Sans",system-ui,sans-serif;color:#22201d;overflow-wrap:anywhere}
img{max-width:100%;height:auto}img:not([src]){display:none}table{max-width:100%}pre{white-space:pre-wrap}
blockquote{margin:8px 0;padding:0 0 0 12px;border-left:2px solid #dad6cf;color:#5f5952}
a{color:#8f1a1d}`

// page gives out a message's cleaned HTML as a document of its own, for the
// frame that shows it: its policy runs nothing and loads only pictures, those
// of other servers when the query asks for them.
func (s *Service) page(api *httpapi.API) httpapi.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		m, b, err := s.bytesOf(api, r)
		if err != nil {
			return err
		}
		defer b.Close()
		_, dirty, err := texts(b, m.Root)
		if err != nil {
			return err
		}
		images := r.URL.Query().Has("images")
		clean, _ := cleanHTML(dirty, picturesOf(m), images)
		pictures := "img-src 'self'"
		if images {
			pictures += " https: http:"
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", strings.Join([]string{
			"default-src 'none'", "style-src 'unsafe-inline'", pictures, "form-action 'none'", "base-uri 'none'", "frame-ancestors 'self'",
			"sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
		}, "; "))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "private, no-store")
		_, _ = io.WriteString(w, `<!doctype html><meta charset="utf-8"><title>.</title><style>`+shownStyle+`</style>`+clean) // the client left
		return nil
	}
}

// picturesOf maps the Content-IDs of a message's pictures to where they are.
func picturesOf(m *store.Message) map[string]string {
	pictures := map[string]string{}
	for _, a := range store.AttachmentParts(m.Root) {
		if cid := strings.Trim(a.Part.ID, "<> "); cid != "" && shown[a.Part.Type+"/"+a.Part.Subtype] {
			pictures[cid] = partURL(m, a.Path) + "?inline"
		}
	}
	return pictures
}

func partURL(m *store.Message, path []int) string {
	return "/api/v1/mail/messages/" + m.ID + "/parts/" + section(path)
}
