namespace GemmaCore.Testing.References;

/// <summary>AdamW of one scalar, straight from algorithm 2 of arXiv:1711.05101 (the schedule multiplier inside the learning rate).</summary>
public sealed class AdamwUpdateReference(double parameter, double learningRate, double beta1, double beta2, double eps, double weightDecay)
{
    private double _m, _v;
    private int _step;

    public double Parameter { get; private set; } = parameter;

    public double M => _m;

    public double V => _v;

    public void Step(double gradient)
    {
        _step++;
        _m = beta1 * _m + (1 - beta1) * gradient;
        _v = beta2 * _v + (1 - beta2) * gradient * gradient;
        double mean = _m / (1 - Math.Pow(beta1, _step)), square = _v / (1 - Math.Pow(beta2, _step));
        Parameter -= learningRate * (mean / (Math.Sqrt(square) + eps) + weightDecay * Parameter);
    }
}
