using System.Text.Json;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using Json.Schema;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>JSON by schema: whatever is drawn is valid, by the word of another implementation (JsonSchema.Net), and what must not pass does not.</summary>
public sealed class JsonConstraintTests
{
    private static readonly EvaluationOptions Strict = new() { RequireFormatValidation = true };

    // A schema and a text that its constraint has to allow.
    public static TheoryData<string, string> Schemas => new()
    {
        { """{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"}},"required":["a"],"additionalProperties":false}""", """{"a": 12}""" },
        { """{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"boolean"},"c":{"type":"boolean"}}}""", """{"b":true,"c": false}""" },
        { """{"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"required":["b"]}""", """{"b":2,"c":3}""" },
        { """{"type":"object","additionalProperties":{"type":"integer","minimum":0,"maximum":9}}""", """{"x":7,"y\n":0}""" },
        { """{"type":"object","additionalProperties":false}""", "{}" },
        { """{"required":["it"],"type":"object"}""", """{"it":[null]}""" },
        { """{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4}""", "[1, 2,3]" },
        { """{"type":"array","items":{"enum":["x","y"]},"maxItems":0}""", "[]" },
        { """{"type":"array","items":{"type":"array","items":{"type":"number"},"minItems":4,"maxItems":4},"minItems":1,"maxItems":3}""", "[[0.5, 1, 2.25, 3e1]]" },
        { """{"type":"string","minLength":2,"maxLength":5}""", "\"\u00e9\U0001fa7a\\n\"" },
        { """{"type":"string","pattern":"^[A-Z]{2}-\\d+$"}""", "\"AB-12\"" },
        { """{"type":"string","pattern":"^[.]?x[\"\\\\]y[a-z]{0,4}$"}""", """ ".x\"y" """ },
        { """{"type":"string","pattern":"^(a|b\\n)*$"}""", """ "ab\na" """ },
        { """{"type":"string","format":"date-time"}""", "\"2026-11-26T08:00:00Z\"" },
        { """{"type":"string","format":"uuid"}""", "\"01234567-89ab-cdef-0123-456789abcdef\"" },
        { """{"type":"string","format":"ipv4"}""", "\"192.168.0.255\"" },
        { """{"type":"integer","minimum":-12,"maximum":305}""", "-12" },
        { """{"type":"integer","exclusiveMinimum":0}""", "1" },
        { """{"type":"integer","maximum":-3}""", "-30" },
        { """{"type":"number","minimum":0,"maximum":1}""", "0.75" },
        { """{"type":"number","minimum":-2.5,"maximum":17.25}""", "-2.5" },
        { """{"type":"number","minimum":0.25,"maximum":0.3}""", "0.2500" },
        { """{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.001}""", "0.0005" },
        { """{"enum":["left","right",null,3,1.5e2,{"a":["b"]},"\u2028\""]}""", """{"a": ["b"]}""" },
        { """{"type":"string","enum":["left",4]}""", "\"left\"" },
        { """{"anyOf":[{"type":"string","maxLength":3},{"type":"null"}],"description":"d","default":null}""", "null" },
        { """{"oneOf":[{"type":"integer"},{"type":"boolean"}]}""", "false" },
        { """{"type":["integer","null"]}""", "null" },
        { """{"$schema":"http://json-schema.org/draft-07/schema#","allOf":[{"$ref":"#/definitions/a"}],"definitions":{"a":{"const":true}}}""", "true" },
        { """{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}}""", """{"v":1,"next":{"v":2,"next":null}}""" },
        { """{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"},"maxItems":2}},"required":["kids"]}""", """{"kids":[{"kids":[]},{"kids":[]}]}""" },
        { """{"type":"object","properties":{"a~b/c":{"$ref":"#/$defs/x~1y"}},"$defs":{"x/y":{"const":"z"}},"required":["a~b/c"]}""", """{"a~b/c":"z"}""" },
        { """{"type":"object","properties":{"na\"me\\\n":{"const":0}},"required":["na\"me\\\n"]}""", """{"na\"me\\\n":0}""" },
        { "true", "[1, {\"a\": \"b\"}]" },
        { "{}", "\"x\"" },
    };

    [Theory]
    [MemberData(nameof(Schemas))]
    public void Whatever_is_drawn_is_valid(string schema, string example)
    {
        Constraint constraint = DemoVocabulary.Compiler.JsonSchema(schema);
        JsonSchema other = JsonSchema.FromText(schema);
        Assert.True(constraint.Allows(example.Trim()), $"{schema} does not allow {example}");
        Assert.True(other.Evaluate(Parse(example), Strict).IsValid, $"the example {example} is wrong");
        int whole = 0;
        for (ulong seed = 0; seed < 60; seed++)
        {
            (string text, bool ended) = DemoVocabulary.Draw(constraint, seed, 400);
            if (!ended) continue; // cut off: the start of something valid
            whole++;
            // Of numbers with many digits the other implementation sees the nearest double.
            Assert.True(other.Evaluate(Parse(text), Strict).IsValid, $"{schema} drew {text}");
        }

        Assert.InRange(whole, 5, 60);
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}""", """{}|{"a":1.5}|{"a":1,"b":2}|{"a":1,}|{"a":01}|{"a":1} |[]|{"a":1}{|{"a":"1"}|{ "b":1}""")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", "[]|[1]|[1,2,3,4]|[1 2]|[,1,2]|[1,2,]")]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"\"|\"a\"|\"abcd\"|\"\\n\"|\"ab\n\"|\"\\ud800x\"|'ab'|\"ab|\"\\x41b\"")]
    [InlineData("""{"type":"string","pattern":"b"}""", "\"\"|\"aa\"|\"\\u0062\"")]
    [InlineData("""{"type":"integer","minimum":-12,"maximum":305}""", "-13|306|1000|-100|1.0|1e1|+5|007|")]
    [InlineData("""{"type":"number","minimum":0.25,"maximum":17.25}""", "0.2|0.24999|17.26|17.3|18|-1|0|.5|0.|1e0")]
    [InlineData("""{"enum":["left",3]}""", "\"lef\"|\"leftx\"|33|3.0|null")]
    [InlineData("true", "{|nul|tru|[1,]|{\"a\"}|\"\t\"|- 1|1.|NaN")]
    public void What_is_not_valid_is_not_allowed(string schema, string texts)
    {
        Constraint constraint = DemoVocabulary.Compiler.JsonSchema(schema);
        foreach (string text in texts.Split('|')) Assert.False(constraint.Allows(text), $"{schema} allows {text}");
    }

    [Fact]
    public void A_pattern_is_found_anywhere_unless_it_is_anchored()
    {
        Constraint constraint = DemoVocabulary.Compiler.JsonSchema("""{"type":"string","pattern":"b[\\n\"]|^c|d$"}""");
        foreach (string text in (string[])["\"aab\\nx\"", "\"b\\\"\"", "\"cx\"", "\"xd\""]) Assert.True(constraint.Allows(text), text);
        foreach (string text in (string[])["\"b\"", "\"xc\"", "\"dx\""]) Assert.False(constraint.Allows(text), text);
    }

    [Fact]
    public void An_object_is_any_object_up_to_a_depth()
    {
        Constraint constraint = DemoVocabulary.Compiler.JsonObject();
        foreach (string text in (string[])["{}", "{ }", "{\n  \"a\": [1, 2.5e-3, {\"b\": null}],\n  \"c\": \"\\u00e9\\/\"\n}"]) Assert.True(constraint.Allows(text), text);
        foreach (string text in (string[])["[]", "1", "{\"a\":}", "{a:1}", "{}}"]) Assert.False(constraint.Allows(text), text);
        string Nest(int depth) => string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth);
        Assert.True(constraint.Allows(Nest(30)));
        Assert.False(constraint.Allows(Nest(40)));
        int whole = 0;
        for (ulong seed = 0; seed < 60; seed++)
        {
            (string text, bool ended) = DemoVocabulary.Draw(constraint, seed, 600);
            if (!ended) continue;
            whole++;
            Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(text).RootElement.ValueKind);
        }

        Assert.InRange(whole, 5, 60);
    }

    [Theory]
    [InlineData("{\"type\":\"string\"", "not valid JSON")]
    [InlineData("[]", "$: a schema must be an object or true")]
    [InlineData("""{"type":"text"}""", "$: 'type' must be")]
    [InlineData("""{"type":["string",7]}""", "$: 'type' must be")]
    [InlineData("""{"not":{"type":"string"}}""", "the keyword 'not'")]
    [InlineData("""{"type":"object","patternProperties":{}}""", "the keyword 'patternProperties'")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "the keyword 'uniqueItems'")]
    [InlineData("""{"type":"array","prefixItems":[]}""", "the keyword 'prefixItems'")]
    [InlineData("""{"type":"number","multipleOf":2}""", "the keyword 'multipleOf'")]
    [InlineData("""{"if":{},"then":{}}""", "the keyword 'if'")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"object","minProperties":1}}}""", "$.a: the keyword 'minProperties'")]
    [InlineData("""{"anyOf":[{"type":"string"}],"type":"string"}""", "'type' beside 'anyOf'")]
    [InlineData("""{"allOf":[{"type":"string"},{"maxLength":3}]}""", "more than one")]
    [InlineData("""{"$ref":"http://example.com/x"}""", "not fetched")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "leads nowhere")]
    [InlineData("""{"$ref":"#"}""", "can never be finished")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""", "can never be finished")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""", "no integer")]
    [InlineData("""{"type":"integer","minimum":4.1,"maximum":4.9}""", "no integer")]
    [InlineData("""{"type":"number","minimum":"0"}""", "'minimum' must be")]
    [InlineData("""{"type":"number","minimum":1e-40}""", "'minimum' must be")]
    [InlineData("""{"type":"string","maxLength":-1}""", "'maxLength' must be")]
    [InlineData("""{"type":"string","maxLength":1,"minLength":2}""", "less than")]
    [InlineData("""{"type":"string","pattern":"(?=x)"}""", "look-around")]
    [InlineData("""{"type":"string","pattern":"a","maxLength":3}""", "'pattern' beside")]
    [InlineData("""{"type":"string","format":"hostname"}""", "the format 'hostname'")]
    [InlineData("""{"enum":[]}""", "'enum' must be")]
    [InlineData("""{"type":"object","required":["a"],"additionalProperties":false}""", "'a' is required")]
    [InlineData("""{"type":"object","properties":{"a":false}}""", "$.a: false allows nothing")]
    [InlineData("""{"minLength":1,"minItems":1}""", "without a 'type'")]
    [InlineData("""{"type":"object","properties":{"\ud800":{}}}""", "not valid Unicode")]
    public void Says_what_it_does_not_take(string schema, string complaint)
    {
        string message = Assert.Throws<InputException>(() => DemoVocabulary.Compiler.JsonSchema(schema)).Message;
        Assert.Contains(complaint, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private static JsonElement Parse(string text) => JsonDocument.Parse(text).RootElement;
}
