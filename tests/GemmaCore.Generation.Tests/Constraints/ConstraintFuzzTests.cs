using System.Diagnostics;
using System.Text;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Testing.Fuzz;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>Damaged schemas and expressions made of scraps: each compiles or is refused with one line, and none takes long.</summary>
public sealed class ConstraintFuzzTests
{
    private const string Schema =
        """{"type":"object","properties":{"a":{"type":["string","null"],"minLength":1,"maxLength":9},"b":{"type":"array","items":{"$ref":"#/$defs/d"},"minItems":1,"maxItems":3},"c":{"enum":["x",1,null]},"d":{"anyOf":[{"type":"number","minimum":-1.5,"exclusiveMaximum":2},{"const":{"k":[true]}}]},"e":{"type":"string","pattern":"^a+(b|c)?$"},"f":{"type":"string","format":"date"}},"required":["a","b"],"additionalProperties":false,"$defs":{"d":{"type":"object","additionalProperties":{"oneOf":[{"$ref":"#/$defs/d"},{"type":"integer","maximum":7}]}}}}""";

    private static readonly string[] Scraps =
        ["a", "b", "é", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{1,3}", "{,", "{0,999}", "[a-c]", "[^", "]", "-", "\\d", "\\w", "\\", "\\x41", "\\u00e9", ".", "^", "$", "\\b", "(?=", "\ud83e", "\U0001fa7a", " ", "\n"];

    [Fact]
    public void Damaged_schemas_compile_or_are_refused()
    {
        var damage = new JsonDamage(7, "\"object\"", "\"array\"", "{\"$ref\":\"#\"}", "{\"$ref\":\"#/$defs/d\"}", "\"$ref\"", "\"(a\"", "[\"string\",\"null\"]", "\"#/properties/b\"", "{\"type\":\"string\"}");
        byte[] original = Encoding.UTF8.GetBytes(Schema);
        int compiled = 0, refused = 0;
        double longest = 0;
        for (int i = 0; i < 4000; i++)
        {
            string schema = Encoding.UTF8.GetString(damage.Damage(original));
            bool accepted = Compiles(() => DemoVocabulary.Compiler.JsonSchema(schema), schema, ref longest);
            (compiled, refused) = accepted ? (compiled + 1, refused) : (compiled, refused + 1);
        }

        Assert.InRange(compiled, 100, 3900);
        Assert.InRange(refused, 100, 3900);
        Assert.InRange(longest, 0, 5);
    }

    [Fact]
    public void Expressions_made_of_scraps_compile_or_are_refused()
    {
        var random = new Random(11);
        int compiled = 0, refused = 0;
        double longest = 0;
        for (int i = 0; i < 4000; i++)
        {
            string expression = string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => Scraps[random.Next(Scraps.Length)]));
            bool accepted = Compiles(() => DemoVocabulary.Compiler.Regex(expression), expression, ref longest);
            (compiled, refused) = accepted ? (compiled + 1, refused) : (compiled, refused + 1);
        }

        Assert.InRange(compiled, 100, 3900);
        Assert.InRange(refused, 100, 3900);
        Assert.InRange(longest, 0, 5);
    }

    private static bool Compiles(Func<Constraint> compile, string input, ref double longest)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            Constraint constraint = compile();
            // What compiles can be answered: at least one token may come, or nothing at all is allowed text.
            Assert.True(constraint.MaskOf(LazyAutomaton.Start).AsSpan().IndexOfAnyExcept(0UL) >= 0 || constraint.Allows(""), input);
            return true;
        }
        catch (InputException error)
        {
            Assert.DoesNotContain('\n', error.Message);
            Assert.InRange(error.Message.Length, 1, 400);
            return false;
        }
        finally
        {
            longest = Math.Max(longest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
    }
}
