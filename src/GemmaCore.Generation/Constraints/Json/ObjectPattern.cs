namespace GemmaCore.Generation.Constraints.Json;

/// <summary>Objects of declared properties, in their order, each at most once.</summary>
internal static class ObjectPattern
{
    public static Pattern Of(IReadOnlyList<(string Name, Pattern Value, bool IsRequired)> properties)
    {
        // From the last property on: what may follow when another one stands before (and a comma is needed), and when none does. What both share is one object, and built once.
        Pattern later = JsonPatterns.Space, first = Pattern.Empty;
        for (int i = properties.Count - 1; i >= 0; i--)
        {
            (string name, Pattern value, bool isRequired) = properties[i];
            Pattern member = Pattern.Sequence(JsonPatterns.Literal(name), JsonPatterns.Colon(), value), here = Pattern.Sequence(member, later);
            Pattern behind = Pattern.Sequence(JsonPatterns.Comma(), here);
            (later, first) = isRequired ? (behind, here) : (Pattern.OneOf(behind, later), Pattern.OneOf(here, first));
        }

        return JsonPatterns.Braces(first);
    }
}
