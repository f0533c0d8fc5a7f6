package awsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"strings"
)

// configuration is what a machine or an activity has beside its definition, as
// it is kept in store.Revision.Configuration. What was never given is nil.
type configuration struct {
	Logging    *logging    `json:"logging,omitempty"`
	Tracing    *tracing    `json:"tracing,omitempty"`
	Encryption *encryption `json:"encryption,omitempty"`

	Author string `json:"author,omitempty"` // who made the revision; never a part of what makes it another
}

type tracing struct {
	Enabled bool `json:"enabled"`
}

type logging struct {
	Level        string   `json:"level"`
	Data         bool     `json:"includeExecutionData"`
	Destinations []string `json:"destinations"` // ARNs of log groups; nil: none given
}

type encryption struct {
	Type  string `json:"type"`
	Key   string `json:"kmsKeyId,omitempty"`
	Reuse int64  `json:"kmsDataKeyReusePeriodSeconds,omitempty"`
}

var (
	logLevels       = newEnum("ALL", "ERROR", "FATAL", "OFF")
	encryptionTypes = newEnum("AWS_OWNED_KEY", "CUSTOMER_MANAGED_KMS_KEY")
)

// configuration reads what a request gives of it.
func (in *input) configuration() (c configuration, err error) {
	if sub, ok := in.structure("loggingConfiguration"); ok {
		if c.Logging, err = sub.logging(); err != nil {
			return c, err
		}
	}
	if sub, ok := in.structure("tracingConfiguration"); ok {
		c.Tracing = &tracing{Enabled: sub.flag("enabled", false)}
	}
	if sub, ok := in.structure("encryptionConfiguration"); ok {
		c.Encryption, err = sub.encryption()
	}
	return c, err
}

// given reports whether there is any.
func (c configuration) given() bool { return c != configuration{} }

// over is c, with was for what c does not give.
func (c configuration) over(was configuration) configuration {
	return configuration{
		Logging:    cmp.Or(c.Logging, was.Logging),
		Tracing:    cmp.Or(c.Tracing, was.Tracing),
		Encryption: cmp.Or(c.Encryption, was.Encryption),
	}
}

// effective is c with AWS's defaults for what it does not give.
func (c configuration) effective() configuration {
	return c.over(configuration{Logging: &logging{Level: "OFF"}, Tracing: &tracing{}, Encryption: &encryption{Type: "AWS_OWNED_KEY"}})
}

// same reports whether two configurations have the same effect.
func (c configuration) same(other configuration) bool {
	return reflect.DeepEqual(c.effective(), other.effective())
}

// logging reads a LoggingConfiguration. Names that cannot be those of a log group
// are refused; whether there is one is for checkLogGroup.
func (in *input) logging() (*logging, error) {
	l := &logging{Level: in.text("level", bounds{enum: logLevels}), Data: in.flag("includeExecutionData", false)}
	if l.Level == "" {
		l.Level = "OFF"
	}
	destinations, ok := in.structures("destinations", false)
	if ok {
		l.Destinations = []string{}
	}
	for _, d := range destinations {
		if group, ok := d.structure("cloudWatchLogsLogGroup"); ok {
			l.Destinations = append(l.Destinations, group.text("logGroupArn", bounds{min: 1, max: 256}))
		}
	}
	if in.failed() {
		return l, nil // the caller reports everything together
	}
	if l.Level != "OFF" && len(l.Destinations) != 1 || len(l.Destinations) > 1 {
		return nil, invalidLogging("Must specify exactly one Log Destination.")
	}
	for _, group := range l.Destinations {
		if !strings.HasPrefix(group, "arn:") || !strings.Contains(group, ":logs:") || !strings.HasSuffix(group, ":*") {
			return nil, invalidLogging("Log Destination not found.")
		}
	}
	return l, nil
}

// encryption reads an EncryptionConfiguration.
func (in *input) encryption() (*encryption, error) {
	e := &encryption{
		Type:  in.text("type", bounds{required: true, enum: encryptionTypes}),
		Key:   in.text("kmsKeyId", bounds{min: 1, max: 2048}),
		Reuse: in.integer("kmsDataKeyReusePeriodSeconds", 60, 900),
	}
	if in.failed() {
		return e, nil
	}
	switch {
	case e.Type == "AWS_OWNED_KEY" && (e.Key != "" || e.Reuse != 0):
		return nil, invalidEncryption("A KMS key and its reuse period can only be set for CUSTOMER_MANAGED_KMS_KEY.")
	case e.Type == "CUSTOMER_MANAGED_KMS_KEY" && e.Key == "":
		return nil, invalidEncryption("CUSTOMER_MANAGED_KMS_KEY needs a kmsKeyId.")
	case e.Type == "CUSTOMER_MANAGED_KMS_KEY" && e.Reuse == 0:
		e.Reuse = 300
	}
	return e, nil
}

// kept is the configuration as the store has it.
func (c configuration) kept() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return b
}

// by is c as somebody made it, for a revision that is new.
func (s *Server) by(ctx context.Context, c configuration) configuration {
	if s.author != nil {
		c.Author = s.author(ctx)
	}
	return c
}

// AuthorOf is who made a revision, by its Configuration, as Config.Author had it;
// "" if that was not kept.
func AuthorOf(kept []byte) string {
	c, err := configurationOf(kept)
	if err != nil {
		return ""
	}
	return c.Author
}

// configurationOf reads what kept wrote.
func configurationOf(kept []byte) (c configuration, err error) {
	if len(kept) > 0 {
		err = json.Unmarshal(kept, &c)
	}
	return c, err
}

// describe writes the configuration of a machine. The encryptionConfiguration
// is shown where one was given: recorded answers have the default only from
// mid-2024 on, and where they do it is optional.
func (c configuration) describe(o *object) {
	shown := c.effective()
	l := shown.Logging
	o.open("loggingConfiguration")
	o.text("level", l.Level)
	o.flag("includeExecutionData", l.Data)
	if l.Destinations != nil {
		o.list("destinations")
		for _, group := range l.Destinations {
			o.item()
			o.open("cloudWatchLogsLogGroup")
			o.text("logGroupArn", group)
			o.close()
			o.close()
		}
		o.endList()
	}
	o.close()

	o.open("tracingConfiguration")
	o.flag("enabled", shown.Tracing.Enabled)
	o.close()

	if c.Encryption != nil {
		c.Encryption.describe(o)
	}
}

func (e *encryption) describe(o *object) {
	o.open("encryptionConfiguration")
	o.text("type", e.Type)
	o.textIf("kmsKeyId", e.Key)
	o.numberIf("kmsDataKeyReusePeriodSeconds", e.Reuse)
	o.close()
}
