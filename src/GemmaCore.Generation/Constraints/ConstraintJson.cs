using System.Text.Json.Serialization;

namespace GemmaCore.Generation.Constraints;

[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class ConstraintJson : JsonSerializerContext;
