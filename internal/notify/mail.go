package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// Mail sends deliveries by SMTP.
type Mail struct {
	Address  string // host:port of the server
	From, To string // addresses, with or without a name
	User     string // "": no sign-in
	Password string

	// Security is "starttls", which is also meant by "", "tls" for a connection
	// that is encrypted from the start, or "none". Without encryption a password
	// goes to this machine only.
	Security string
	TLS      *tls.Config // nil: Go's own, for the server's name
	// Dial makes the connection; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Send sends d as one message. An answer of 5xx is final.
func (m *Mail) Send(ctx context.Context, d *Delivery, now time.Time) error {
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return &Refusal{Reason: fmt.Sprintf("the sender %q is no address", m.From), Final: true}
	}
	to, err := mail.ParseAddress(m.To)
	if err != nil {
		return &Refusal{Reason: fmt.Sprintf("the receiver %q is no address", m.To), Final: true}
	}
	err = m.send(ctx, from, to, message(d, from, to, now))
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return &Refusal{Reason: "the mail server answered " + cut(answer.Error(), 300), Final: answer.Code >= 500}
	}
	if err != nil {
		return fmt.Errorf("send mail through %s: %w", m.Address, err)
	}
	return nil
}

func (m *Mail) send(ctx context.Context, from, to *mail.Address, text []byte) error {
	c, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if m.User != "" {
		host, _, err := net.SplitHostPort(m.Address)
		if err != nil {
			return err
		}
		if err := c.Auth(smtp.PlainAuth("", m.User, m.Password, host)); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to.Address); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err // only now has the server taken it
	}
	_ = c.Quit() // it has been taken: how they part is no matter
	return nil
}

// connect greets the server, encrypted as Security says. The connection ends
// with ctx.
func (m *Mail) connect(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil {
		return nil, &Refusal{Reason: fmt.Sprintf("the mail server %q is not host:port", m.Address), Final: true}
	}
	dial := m.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", m.Address)
	if err != nil {
		return nil, err
	}
	plain := conn
	context.AfterFunc(ctx, func() { plain.Close() })
	config := &tls.Config{}
	if m.TLS != nil {
		config = m.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if m.Security == "tls" {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	if m.Security == "" || m.Security == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			c.Close()
			return nil, &Refusal{Reason: "the mail server does not offer STARTTLS, and nothing is sent without encryption", Final: true}
		}
		if err := c.StartTLS(config); err != nil {
			c.Close()
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
	}
	return c, nil
}

// message is a mail of plain text. What is in a header is encoded, so that no
// title can add one.
func message(d *Delivery, from, to *mail.Address, now time.Time) []byte {
	n := d.Notification
	var b bytes.Buffer
	domain := "lockstep.invalid"
	if _, after, ok := strings.Cut(from.Address, "@"); ok {
		domain = after
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n",
		from, to, subject(n.Title), now.Format(time.RFC1123Z), d.ID, domain)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	text := n.Title + "\n"
	if n.Text != "" {
		text += "\n" + n.Text + "\n"
	}
	if n.URL != "" {
		text += "\n" + n.URL + "\n"
	}
	q := quotedprintable.NewWriter(&b)
	q.Write([]byte(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"))) // into memory: it cannot fail
	q.Close()
	return b.Bytes()
}

// subject is encoded where it must be, and folded, as lines have a limit.
func subject(title string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", oneLine(title)), "?= =?", "?=\r\n =?")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
