using System.Numerics;
using GemmaCore.Ops;

namespace GemmaCore.Testing.References;

/// <summary>y = act(gate) ⊙ up (arXiv:2002.05202).</summary>
public static class GluReference
{
    public static T[] Forward<T, F>(T[] gate, T[] up, Activation activation)
        where T : struct, INumberBase<T> where F : IFunctions<T> =>
        [.. gate.Zip(up, (g, u) => ActivateReference.Value<T, F>(g, activation) * u)];
}
