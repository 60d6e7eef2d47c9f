using System.Numerics;
using GemmaCore.Ops;

namespace GemmaCore.Testing.References;

/// <summary>The activations as their papers write them, GeluTanh with a hyperbolic tangent.</summary>
public static class ActivateReference
{
    public static T[] Forward<T, F>(T[] x, Activation activation) where T : struct, INumberBase<T> where F : IFunctions<T> =>
        Array.ConvertAll(x, value => Value<T, F>(value, activation));

    public static T Value<T, F>(T x, Activation activation) where T : struct, INumberBase<T> where F : IFunctions<T> => activation switch
    {
        Activation.GeluTanh =>
            F.Of(0.5) * x * (T.One + F.Tanh(F.Of(Math.Sqrt(2 / Math.PI)) * (x + F.Of(0.044715) * x * x * x))),
        Activation.Silu => x / (T.One + F.Exp(-x)),
        Activation.QuickGelu => x / (T.One + F.Exp(F.Of(-1.702) * x)),
        _ => throw new ArgumentOutOfRangeException(nameof(activation), activation, "no reference"),
    };
}
