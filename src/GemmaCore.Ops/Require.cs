using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Checks that contracts share. The throwing paths are cold and out of line.</summary>
internal static class Require
{
    public static void Floats(string operation, string name, TensorView view)
    {
        if (view.IsEmpty || view.DType != DType.F32) Fail($"{operation}: {name} must be f32, got {view}");
    }

    public static void Ints(string operation, string name, TensorView view, int count)
    {
        if (view.IsEmpty || view.DType != DType.I32 || view.Shape.ElementCount != count)
            Fail($"{operation}: {name} must hold {count} i32 values, got {view}");
    }

    public static void Shape(string operation, string name, TensorView view, Shape expected)
    {
        if (view.IsEmpty || view.DType != DType.F32 || view.Shape != expected) Fail($"{operation}: {name} must be f32{expected}, got {view}");
    }

    public static void SameShape(string operation, string name, TensorView view, TensorView like)
    {
        if (view.IsEmpty || view.DType != like.DType || view.Shape != like.Shape) Fail($"{operation}: {name} must be like {like}, got {view}");
    }

    /// <summary>Operands of y[…, O] = x[…, K]·w[O, K]ᵀ + bias[O].</summary>
    public static void Product(string operation, TensorView x, Shape w, TensorView bias, TensorView y)
    {
        Floats(operation, "x", x);
        if (w.Rank != 2 || w[1] != x.Shape.Columns) Fail($"{operation}: w must be [O, {x.Shape.Columns}] for x {x}, got {w}");
        if (!bias.IsEmpty) Shape(operation, "bias", bias, new Shape(w[0]));
        Rows(operation, y, x.Shape.Rows, w[0]);
    }

    /// <summary>A result of that many rows and columns.</summary>
    public static void Rows(string operation, TensorView y, int rows, int columns)
    {
        Floats(operation, "y", y);
        if (y.Shape.Rows != rows || y.Shape.Columns != columns) Fail($"{operation}: y must have {rows} rows of {columns}, got {y}");
    }

    public static void That([DoesNotReturnIf(false)] bool condition, string operation,
        [InterpolatedStringHandlerArgument(nameof(condition))] ref Message message)
    {
        if (!condition) Fail($"{operation}: {message.ToStringAndClear()}");
    }

    public static NotSupportedException NoSuchDevice(string operation, Device device) =>
        new($"{operation}: there is no implementation for device '{device.Name}'");

    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Fail(string message) => throw new ShapeException(message);

    /// <summary>An interpolated string that is built only when the condition does not hold.</summary>
    [InterpolatedStringHandler]
    public ref struct Message
    {
        private DefaultInterpolatedStringHandler _text;

        public Message(int literalLength, int formattedCount, bool condition, out bool build)
        {
            build = !condition;
            _text = build ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
        }

        public void AppendLiteral(string text) => _text.AppendLiteral(text);

        public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

        public string ToStringAndClear() => _text.ToStringAndClear();
    }
}
