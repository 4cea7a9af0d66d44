package stack_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestNobodyWithoutIAMCanCallTheAPI(t *testing.T) {
	t.Parallel()
	served := operations(t)
	everywhere(t, func(t *testing.T, on *template) {
		found := map[string]bool{}
		for name, route := range on.all(t, "AWS::ApiGatewayV2::Route", "") {
			found[route.at("RouteKey")] = true
			if got := route.at("AuthorizationType"); got != "AWS_IAM" {
				t.Errorf("route %s (%s) wants %q of a caller: anybody can read the views", route.at("RouteKey"), name, got)
			}
		}
		if !found["$default"] {
			t.Error("who asks for what is not there is told so by API Gateway, without being asked who he is")
		}
		// Only routes can be named in a policy: who may ask need not be who may start runs.
		for key := range served {
			if !found[key] {
				t.Errorf("there is no route %s", key)
			}
		}
		for name, r := range on.Resources {
			if r.Type == "AWS::Lambda::Url" {
				t.Errorf("%s is a way around the API", name)
			}
			if r.Type == "AWS::Lambda::Permission" && (r.at("Principal") == "*" || r.at("SourceArn") == "" && r.at("SourceAccount") == "") {
				t.Errorf("%s lets anybody's %s invoke a function", name, r.at("Principal"))
			}
		}
	})
}

// operations gives those of the API's document that a stack serves, such as GET
// /v1/query.
func operations(t *testing.T) map[string]bool {
	t.Helper()
	var document struct{ Paths map[string]map[string]any }
	if err := readJSON(filepath.Join("..", "..", "internal", "api", "openapi.json"), &document); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for path, methods := range document.Paths {
		switch path {
		case "/metrics", "/v1/erase", "/v1/load", "/v1/verify": // local mode's
			continue
		}
		for method := range methods {
			out[strings.ToUpper(method)+" "+path] = true
		}
	}
	if len(out) < 5 {
		t.Fatalf("the API's document has only %v", out)
	}
	return out
}

func TestTheAPIIsBoundedAndLogged(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		stage := on.one(t, "AWS::ApiGatewayV2::Stage", "")
		if stage.at("DefaultRouteSettings", "ThrottlingRateLimit") == "" || stage.at("DefaultRouteSettings", "ThrottlingBurstLimit") == "" {
			t.Error("one caller can use up the account's concurrency, and with it that of the speed layer")
		}
		format := stage.at("AccessLogSettings", "Format")
		if stage.at("AccessLogSettings", "DestinationArn") == "" || !strings.Contains(format, "userArn") {
			t.Errorf("nobody can say who asked: %s", format)
		}
		for _, secret := range []string{"querystring", "path", "requestOverride"} {
			if strings.Contains(format, secret) {
				t.Errorf("the log holds what was asked for, by $context.%s: %s", secret, format)
			}
		}
	})
	stage := made[safe].one(t, "AWS::ApiGatewayV2::Stage", "")
	if rate, burst := stage.at("DefaultRouteSettings", "ThrottlingRateLimit"), stage.at("DefaultRouteSettings", "ThrottlingBurstLimit"); rate != "7" || burst != "9" {
		t.Errorf("%s requests a second and %s at once, want 7 and 9 as configured", rate, burst)
	}
}

// What nobody has granted, nobody can do.
func TestNothingIsPublic(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for name, r := range on.Resources {
			if r.Type == "AWS::EC2::VPCEndpoint" {
				continue // its policy bounds what roles may do through it, and grants nothing
			}
			for _, property := range []string{"PolicyDocument", "KeyPolicy", "ResourcePolicy", "AssumeRolePolicyDocument"} {
				document, ok := r.Properties[property].(map[string]any)
				if !ok {
					continue
				}
				for _, s := range document["Statement"].([]any) {
					s := resource{Properties: s.(map[string]any)}
					if principal := s.at("Principal"); s.at("Effect") == "Allow" && (principal == "*" || strings.Contains(principal, `"*"`)) {
						t.Errorf("%s allows %s to anybody", name, s.at("Action"))
					}
				}
			}
		}
	})
}

func TestLogsAreEncryptedAndEnd(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, on *template) {
		for name, group := range on.all(t, "AWS::Logs::LogGroup", "") {
			if group.at("KmsKeyId") == "" || group.at("RetentionInDays") == "" {
				t.Errorf("%s is kept for %q days, encrypted with %q", name, group.at("RetentionInDays"), group.at("KmsKeyId"))
			}
		}
		allowed := false
		for _, s := range on.one(t, "AWS::KMS::Key", "").Properties["KeyPolicy"].(map[string]any)["Statement"].([]any) {
			s := resource{Properties: s.(map[string]any)}
			allowed = allowed || strings.Contains(s.at("Principal"), "logs.") && strings.Contains(s.at("Condition"), "kms:EncryptionContext:aws:logs:arn")
		}
		if !allowed {
			t.Error("CloudWatch Logs may not use the key, so no log group can be made")
		}
	})
}
