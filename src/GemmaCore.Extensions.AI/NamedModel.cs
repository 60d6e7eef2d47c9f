using GemmaCore.Generation;
using GemmaCore.Models.Lora;

namespace GemmaCore.Extensions.AI;

/// <summary>A model under the name that options use for it, its adapters under theirs, and the loop that answers.</summary>
internal sealed record NamedModel(string Name, GemmaModel Model, RequestLoop Loop, Func<string, LoraAdapter?> Adapters)
{
    /// <summary>The adapter that a model id names; null for the base.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such model.</exception>
    public LoraAdapter? Resolve(string name) => name == Name
        ? null
        : Adapters(name) ?? throw new ArgumentOutOfRangeException("options", name, $"There is no model '{name}'; expected {Name} or an adapter's name");
}
